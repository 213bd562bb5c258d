// Access tokens.

// isToken reports whether an HTTP header can hold the text as a token.
export const isToken = text => /^[\x21-\x7e]+$/.test(text);

// authorization returns the header fields that carry a token; without one, none.
export const authorization = token => token ? {Authorization: `Bearer ${token}`} : {};
