// What people are told, in words.

const units = ['kB', 'MB', 'GB', 'TB', 'PB'];

// size returns a number of bytes as people read it.
export function size(bytes) {
	if (bytes < 1000) {
		return bytes === 1 ? '1\u00a0byte' : `${bytes}\u00a0bytes`;
	}
	let unit = -1;
	while (bytes >= 999.95 && unit < units.length - 1) {
		bytes /= 1000;
		unit++;
	}
	return `${bytes.toFixed(bytes < 99.95 ? 1 : 0)}\u00a0${units[unit]}`;
}

// clock returns a duration as 0:07, 12:34 or 1:02:03.
export function clock(milliseconds) {
	const seconds = Math.floor(milliseconds / 1000);
	const two = n => String(n).padStart(2, '0');
	const [h, m, s] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
	return h > 0 ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
}

// The codes of Httpipe-Error, as either side should hear them.
const both = {
	shut_down: 'The server is stopping.',
	refused: 'The server is at a limit and turned this away.',
	audit_unavailable: 'The server cannot keep its books, and relays nothing without a record.',
	unauthorized: 'This server asks for an access token.',
	forbidden: 'The access token does not allow this.',
	https_required: 'This server accepts https only.',
	bad_name: 'The server does not accept this channel name.',
	bad_wait: 'The server does not understand how long to wait.',
	bad_request: 'The server could not read the message.',
	not_a_consumer: 'The server did not take this for a receiver.',
	not_found: 'The server does not know this address.',
	method: 'The server cannot do this here.',
};
const senders = {
	...both,
	consumer_left: 'The receiver hung up before the last byte.',
	producer_left: 'The server could not read the message to its end.',
	stalled: 'The receiver stopped reading before the last byte.',
	silent: 'A receiver was there, but nothing came from this browser for too long.',
	too_large: 'This is larger than the server takes.',
	deleted: 'Somebody deleted the channel.',
	timed_out: 'Nobody came to receive it in the time that this server lets one wait.',
};
const receivers = {
	...both,
	deleted: 'Somebody deleted the channel.',
	timed_out: 'Nobody sent anything in the time that this server lets one wait.',
};

// Of these the server's own line says more.
const explained = ['refused', 'unauthorized', 'forbidden', 'bad_name', 'bad_request'];

// notHttpipe says that an answer is not from httpipe.
export const notHttpipe = status => `Something between this browser and httpipe answered ${status}.`;

// why says what the answer of a server that refuses or fails means to those for whom the words are.
function why({status, code, line, retryAfter}, words) {
	const who = code ? `The server answered ${status} (${code}).` : notHttpipe(status);
	return [
		words[code] ?? who,
		line && (!words[code] || explained.includes(code)) && `It says: ${line}.`,
		retryAfter && `Try again in ${retryAfter} s.`,
	].filter(Boolean).join(' ');
}

// sent tells a sender how it ended: {good, headline, detail}. Only a 200 of httpipe's own speaks of delivery.
export function sent(ending, total) {
	const all = ending.left >= total;
	const left = all ? `All of it (${size(total)})` : `${size(ending.left)} of ${size(total)}`;
	switch (ending.kind) {
	case 'delivered':
		return {good: true, headline: 'Delivered', detail: `The receiver's connection took all of it: ${size(total)}.`};
	case 'cancelled':
		return {headline: 'Cancelled', detail: `${left} had left this browser. ` +
			(all ? 'If nobody was receiving it at that moment, nobody will.' : 'Whoever receives that can tell that it is not the whole.')};
	case 'unreadable':
		return {headline: 'Not sent', detail: 'This browser cannot read the file. Is it a folder, or has it been moved or changed?'};
	case 'lost':
		return {headline: 'Not confirmed', detail: `The connection broke without an answer. ${left} had left this browser; ` +
			'the receiver may have got all of it, some or nothing. Sent again it may arrive twice.'};
	}
	if (ending.exchange && ending.code === 'audit_unavailable') {
		return {headline: 'Not confirmed', detail: 'All of it went to the receiver, but the server could not put that on record. Sent again it may arrive twice.'};
	}
	if (!(ending.code in senders)) {
		return {headline: 'Not confirmed', detail: why(ending, senders) + ' Nothing says whether it was delivered.'};
	}
	return {headline: 'Not delivered', detail: why(ending, senders)};
}

// received tells a receiver how it ended. A message that is not whole is no message.
export function received(ending) {
	const some = ending.total === null ? size(ending.bytes ?? 0) : `${size(ending.bytes ?? 0)} of ${size(ending.total ?? 0)}`;
	switch (ending.kind) {
	case 'whole':
		return {good: true, headline: 'Received', detail: `${size(ending.bytes)}, whole.`};
	case 'broken':
		return {headline: 'Broken off', detail: `The transfer ended after ${some}. What came is not the whole, and was thrown away.`};
	case 'full':
		return {headline: 'Not kept', detail: `This browser had no room for the message (${some}). curl has no such limit.`};
	case 'cancelled':
		return ending.begun
			? {headline: 'Cancelled', detail: `After ${some}. What had come was thrown away.`}
			: {headline: 'Cancelled', detail: 'Nothing had come.'};
	case 'lost':
		return {headline: 'Nothing received', detail: 'The connection broke while nothing had come.'};
	}
	return {headline: 'Nothing received', detail: why(ending, receivers)};
}
