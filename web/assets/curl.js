// What the page does, as commands for a shell.

// quoted returns text as one word of any POSIX shell.
export function quoted(text) {
	return /^[A-Za-z0-9_\-.,:/@%+=]+$/.test(text) ? text : `'${text.replaceAll(`'`, `'\\''`)}'`;
}

// hasControls tells whether a terminal might make something else of text that is pasted into it.
const hasControls = text => /[\0-\x08\x0b-\x1f\x7f-\x9f]/.test(text);

const longest = 2000; // characters of text that a command should hold

// The token itself is in no command: it would stay in the shell's history.
const authorization = '-H "Authorization: Bearer $TOKEN" ';

// sending returns the command that sends text, or a file of that name.
export function sending(url, {text, file, token}) {
	return `curl ${token ? authorization : ''}${payload(text, file)} ${quoted(url)}`;
}

function payload(text, file) {
	if (file !== undefined) {
		// Within curl's own quotes, as a name may hold what separates the parts of a form.
		const name = hasControls(file) ? 'FILE' : file.replace(/["\\]/g, '\\$&');
		return `-F ${quoted(`file=@"${name}"`)}`;
	}
	if (text.length > longest || hasControls(text)) {
		return '--data-binary @FILE';
	}
	return `--data-raw ${quoted(text || 'hello')}`;
}

// printing returns the command that receives a message and prints it.
export const printing = (url, {token}) => `curl -f ${token ? authorization : ''}${quoted(url)}`;

// saving returns the command that receives a file and saves it under its own name.
export const saving = (url, {token}) => `curl -fOJ ${token ? authorization : ''}${quoted(url)}`;
