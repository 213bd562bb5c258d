// Copying, for buttons.

// copy puts text into the clipboard, and says so on the button.
export async function copy(button, text) {
	button.dataset.label ??= button.textContent;
	let copied = true;
	try {
		await navigator.clipboard.writeText(text);
	} catch {
		copied = copyBySelection(text); // without TLS, navigator has no clipboard
	}
	button.textContent = copied ? 'Copied' : 'Not possible';
	setTimeout(() => button.textContent = button.dataset.label, 1500);
}

function copyBySelection(text) {
	const focused = document.activeElement;
	const area = document.createElement('textarea');
	area.value = text;
	area.className = 'unseen';
	document.body.append(area);
	area.select();
	const copied = document.execCommand('copy');
	area.remove();
	focused?.focus();
	return copied;
}
