// What the page does, as commands for a shell.

// quoted returns text as one word of any POSIX shell.
export function quoted(text) {
	return /^[A-Za-z0-9_\-.,:/@%+=]+$/.test(text) ? text : `'${text.replaceAll(`'`, `'\\''`)}'`;
}

// hasControls reports whether text has characters that a terminal may interpret when the text is pasted.
const hasControls = text => /[\0-\x08\x0b-\x1f\x7f-\x9f]/.test(text);

const longest = 500; // characters of text in a command, which a phone shows in full

// The token itself is in no command: it would stay in the shell's history.
const authorization = '-H "Authorization: Bearer $TOKEN" ';

// sending returns the command that sends text, or a file of that name.
export function sending(url, {text, file, token}) {
	return `curl ${token ? authorization : ''}${payload(text, file)} ${quoted(url)}`;
}

function payload(text, file) {
	if (file !== undefined) {
		// In curl's own quotes, because a name may contain the characters that separate the parts of -F.
		const name = hasControls(file) ? 'FILE' : file.replace(/["\\]/g, '\\$&');
		return `-F ${quoted(`file=@"${name}"`)}`;
	}
	if (text.length > longest || hasControls(text)) {
		return '--data-binary @FILE';
	}
	const option = text.startsWith('@') ? '--data-raw' : '-d'; // -d takes what follows an @ for the name of a file
	return `${option} ${quoted(text || 'hello')}`;
}

// printing returns the command that receives a message and prints it.
export const printing = (url, {token}) => `curl -f ${token ? authorization : ''}${quoted(url)}`;

// saving returns the command that receives a file and saves it under its own name.
export const saving = (url, {token}) => `curl -fOJ ${token ? authorization : ''}${quoted(url)}`;

// publishing returns the command that sends a message to everyone who listens to a topic.
export const publishing = (url, {token}) => `curl ${token ? authorization : ''}-d hello ${quoted(url)}`;
