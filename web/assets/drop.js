// Files that are pasted, or dropped on the page.

// onFiles calls take with the files. While files are dragged over the page, target has the class dropping.
export function onFiles(target, take) {
	addEventListener('paste', event => {
		const files = event.clipboardData?.files;
		if (files?.length) {
			event.preventDefault();
			take(files);
		}
	});

	// A file may be dropped anywhere on the page: elsewhere the browser would open it instead of this page.
	const carriesFiles = event => event.dataTransfer?.types.includes('Files');
	addEventListener('dragover', event => {
		if (carriesFiles(event)) {
			event.preventDefault();
			target.classList.add('dropping');
		}
	});
	addEventListener('dragleave', event => {
		if (!event.relatedTarget) {
			target.classList.remove('dropping');
		}
	});
	addEventListener('drop', event => {
		target.classList.remove('dropping');
		if (!carriesFiles(event)) {
			return;
		}
		event.preventDefault();
		take(event.dataTransfer.files);
	});
}
