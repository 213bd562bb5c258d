// What brings the channel to another device: its link, a QR code of that, and the share sheet of the system.

import {copy} from './clipboard.js';

const $ = id => document.getElementById(id);

// offer shows the QR code of a link, or none if the link is empty.
export function offer(link) {
	for (const code of document.querySelectorAll('.code')) {
		code.hidden = !link;
	}
	$('show-code').hidden = !link;
	$('code-link').textContent = link;
	if (!link) {
		return;
	}
	const source = `/assets/qr.svg?text=${encodeURIComponent(link)}`;
	for (const image of [$('code'), $('large-code')]) {
		if (image.getAttribute('src') !== source) {
			image.src = source;
		}
	}
}

// Without a code, the page has the link.
$('code').addEventListener('error', () => offer(''));

for (const button of [$('enlarge'), $('show-code')]) {
	button.addEventListener('click', () => $('code-sheet').showModal());
}
$('code-sheet').addEventListener('click', event => event.target === $('code-sheet') && $('code-sheet').close()); // beside it
$('close-code').addEventListener('click', () => $('code-sheet').close());

if (navigator.share) { // browsers have it over TLS only
	$('share').hidden = false;
	$('share').addEventListener('click', () => navigator.share({title: 'httpipe', url: location.href}).catch(() => {})); // it was closed
}
$('copy-link').addEventListener('click', event => copy(event.target, location.href));
