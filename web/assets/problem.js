// Errors of the server.

// detailOf returns the server's line in the body of an error, or '' if the answer is not httpipe's.
export function detailOf(body) {
	try {
		return JSON.parse(body).detail ?? '';
	} catch {
		return '';
	}
}
