// Names of channels, which the address has after its #, and names of files.

// What the server accepts as a name (pipe/key.go).
const allowed = /^(?!\.{1,2}$)[A-Za-z0-9\-._~!$&'()*+,;=:@]{1,255}$/;

const rule = 'A namespace and a name are each 1 to 255 of A to Z, a to z, 0 to 9 and - . _ ~ ! $ & \' ( ) * + , ; = : @';

export const isName = text => allowed.test(text);

// fault says what is wrong with a text that is not a name, in a sentence.
export function fault(text) {
	const wrong = Array.from(text).find(character => !isName(character + 'x')); // x, because . alone is not a name
	switch (true) {
	case text === '.' || text === '..':
		return `“${text}” is not a name.`;
	case wrong !== undefined:
		return `A name cannot contain ${/^[\p{Z}\p{C}]$/u.test(wrong) ? wrong === ' ' ? 'a space' : 'an invisible character' : `“${wrong}”`}. ${rule}`;
	case text.length > 255:
		return `This name has ${text.length} characters. ${rule}`;
	}
	return rule;
}

// randomName returns a name that cannot be guessed: 12 characters of 5 random bits each.
export function randomName() {
	const digits = '0123456789abcdefghjkmnpqrstvwxyz'; // without i, l, o and u, which are misread
	const bytes = crypto.getRandomValues(new Uint8Array(12));
	return Array.from(bytes, byte => digits[byte & 31]).join('').replace(/....(?=.)/g, '$&-');
}

export const usualNamespace = 'v1';

// channelIn returns the namespace and the name that a fragment holds, or says why it holds none. A name alone is one of the
// usual namespace.
export function channelIn(fragment) {
	let text = fragment.replace(/^#/, '');
	try {
		text = decodeURIComponent(text); // some messengers escape the links that they pass on
	} catch {
		return {wrong: fault('%')};
	}
	const names = text.split('/');
	if (names.length === 1) {
		names.unshift(usualNamespace);
	}
	if (names.length > 2) {
		return {wrong: 'A channel has one “/”, between its namespace and its name.'};
	}
	const wrong = names.find(name => !isName(name));
	return wrong === undefined ? {namespace: names[0], name: names[1]} : {wrong: fault(wrong)};
}

// disposition returns the Content-Disposition that carries a file's name, for old and new readers.
export function disposition(name) {
	const plain = name.replace(/[^\x20-\x7e]|["\\%]/g, '_');
	const escaped = encodeURIComponent(name.toWellFormed?.() ?? name).replace(/['()*]/g, c => '%' + c.charCodeAt(0).toString(16));
	return `attachment; filename="${plain}"; filename*=UTF-8''${escaped}`;
}

// fileName returns the name that a Content-Disposition gives, made harmless; '' if it gives none.
export function fileName(header) {
	const extended = /;\s*filename\*\s*=\s*utf-8'[^']*'([^;\s]+)/i.exec(header);
	if (extended) {
		try {
			return harmless(decodeURIComponent(extended[1]));
		} catch {} // not what it says it is; there may be a plain one
	}
	const plain = /;\s*filename\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^;\s]+))/i.exec(header);
	return plain ? harmless(decoded((plain[1] ?? plain[2]).replace(/\\(.)/g, '$1').replaceAll('%22', '"'))) : ''; // %22 as in forms
}

// decoded returns a header's bytes, which the browser gives as Latin-1, as the UTF-8 that they mostly are.
function decoded(text) {
	try {
		return new TextDecoder('utf-8', {fatal: true}).decode(Uint8Array.from(text, c => c.charCodeAt(0)));
	} catch {
		return text;
	}
}

// harmless returns a name without a directory, without characters that have a meaning to a system, and without
// invisible characters, such as those that make gpj.exe look like exe.jpg.
export function harmless(name) {
	const base = name.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, '').split(/[/\\]/).pop();
	const clean = base.replace(/[<>:"|?*]/g, '_').replace(/^[.\s]+|[.\s]+$/g, '');
	const [, stem, extension] = /^(.*?)(\.[^.]{1,16})?$/s.exec(clean);
	return Array.from(stem).slice(0, 80).join('') + (extension ?? '');
}
