// The texts that the page shows.

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

// What the codes of Httpipe-Error mean to either side.
const both = {
	shut_down: 'The server is stopping, or another one serves this channel now.',
	refused: 'The server has reached a limit and refused this.',
	audit_unavailable: 'The server cannot write its audit log, and relays nothing without a record.',
	unauthorized: 'This server asks for an access token.',
	forbidden: 'The access token does not allow this.',
	https_required: 'This server accepts https only.',
	bad_name: 'The server does not accept this channel name.',
	bad_wait: 'The server does not understand how long to wait.',
	bad_request: 'The server could not read the message.',
	not_a_consumer: 'The server did not accept this as a request to receive.',
	not_found: 'The server does not know this address.',
	method: 'The server cannot do this here.',
};
const senders = {
	...both,
	consumer_left: 'The receiver hung up before the last byte.',
	producer_left: 'The server could not read the message to its end.',
	stalled: 'The receiver stopped reading before the last byte.',
	silent: 'A receiver was there, but this browser sent nothing for too long.',
	too_large: 'This is larger than the server accepts.',
	deleted: 'The channel was deleted.',
	timed_out: 'No receiver came within the time limit of this server.',
};
const receivers = {
	...both,
	deleted: 'The channel was deleted.',
	timed_out: 'No sender came within the time limit of this server.',
};

// For these codes, the page also shows the server's own line.
const explained = ['refused', 'unauthorized', 'forbidden', 'bad_name', 'bad_request'];

// notHttpipe says that an answer is not from httpipe.
export const notHttpipe = status => `Something between this browser and httpipe answered ${status}.`;

// why returns what the answer of a server that refuses or fails means, in the words for senders or for receivers.
function why({status, code, line, retryAfter}, words) {
	const answer = code ? `The server answered ${status} (${code}).` : notHttpipe(status);
	return [
		words[code] ?? answer,
		line && (!words[code] || explained.includes(code)) && `It says: ${line}.`,
		retryAfter && `Try again in ${retryAfter} s.`,
	].filter(Boolean).join(' ');
}

// sent returns the text for a sender after its transfer: {good, headline, detail}. Only a 200 of httpipe itself means delivery.
export function sent(ending, total) {
	const all = ending.left >= total;
	const left = all ? `All of it (${size(total)})` : `${size(ending.left)} of ${size(total)}`;
	switch (ending.kind) {
	case 'delivered':
		return {good: true, headline: 'Delivered', detail: `The receiver's connection took all of it: ${size(total)}.`};
	case 'cancelled':
		return {headline: 'Cancelled', detail: `${left} had left this browser. ` +
			(all ? 'If no client was receiving it at that moment, none will.' : 'The receiver can tell that it is not complete.')};
	case 'unreadable':
		return {headline: 'Not sent', detail: 'This browser cannot read the file. Is it a folder, or has it been moved or changed?'};
	case 'lost':
		return {headline: 'Not confirmed', detail: `The connection broke without an answer. ${left} had left this browser; ` +
			'the receiver may have got all of it, some or nothing. If you send it again, it may arrive twice.'};
	}
	if (ending.exchange && ending.code === 'audit_unavailable') {
		return {headline: 'Not confirmed', detail: 'All of it went to the receiver, but the server could not record that. If you send it again, it may arrive twice.'};
	}
	if (!(ending.code in senders)) {
		return {headline: 'Not confirmed', detail: why(ending, senders) + ' It is not known whether it was delivered.'};
	}
	return {headline: 'Not delivered', detail: why(ending, senders)};
}

// received returns the text for a receiver after its transfer. An incomplete message is never shown as a message.
export function received(ending) {
	const some = ending.total === null ? size(ending.bytes ?? 0) : `${size(ending.bytes ?? 0)} of ${size(ending.total ?? 0)}`;
	switch (ending.kind) {
	case 'whole':
		return {good: true, headline: 'Received', detail: `${size(ending.bytes)}, complete.`};
	case 'broken':
		return {headline: 'Broken off', detail: `The transfer ended after ${some}. The incomplete message was discarded.`};
	case 'full':
		return {headline: 'Not kept', detail: `This browser had no room for the message (${some}). curl has no such limit.`};
	case 'cancelled':
		return ending.begun
			? {headline: 'Cancelled', detail: `After ${some}. The incomplete message was discarded.`}
			: {headline: 'Cancelled', detail: 'Nothing had arrived.'};
	case 'lost':
		return {headline: 'Nothing received', detail: 'The connection broke before anything came.'};
	}
	return {headline: 'Nothing received', detail: why(ending, receivers)};
}
