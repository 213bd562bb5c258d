// Three ways to open the channel on another device: its link, a QR code of the link, and the system's share sheet.

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

// If the server cannot draw a code, such as of a very long link, the link itself remains.
$('code').addEventListener('error', () => offer(''));

for (const button of [$('enlarge'), $('show-code')]) {
	button.addEventListener('click', () => $('code-sheet').showModal());
}
$('code-sheet').addEventListener('click', event => event.target === $('code-sheet') && $('code-sheet').close()); // a click beside the sheet
$('close-code').addEventListener('click', () => $('code-sheet').close());

if (navigator.share) { // browsers have it over TLS only
	$('share').hidden = false;
	$('share').addEventListener('click', () => navigator.share({title: 'httpipe', url: location.href}).catch(() => {})); // the user closed the share sheet
}
$('copy-link').addEventListener('click', event => copy(event.target, location.href));
