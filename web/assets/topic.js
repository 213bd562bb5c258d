// Topics: publish to a topic, and follow it.

import {detailOf} from './problem.js';
import {authorization} from './token.js';

// answered returns a sentence about a response other than success.
async function answered(response) {
	const line = detailOf(await response.text().catch(() => ''));
	const code = response.headers.get('Httpipe-Error');
	return `The server answered ${response.status}${code ? ` (${code})` : ''}.${line ? ` It says: ${line}.` : ''}`;
}

// publish sends a text to all subscribers, and returns a sentence about the result: {good, told}.
export async function publish(url, text, token) {
	let response;
	try {
		response = await fetch(url, {method: 'POST', body: text, headers: {Accept: 'application/json', 'Content-Type': 'text/plain; charset=utf-8', ...authorization(token)}});
	} catch {
		return {told: 'Not confirmed: the connection broke without an answer. If you send it again, it may arrive twice.'};
	}
	const [subscribers, delivered] = ['Httpipe-Subscribers', 'Httpipe-Delivered'].map(name => response.headers.get(name));
	if (response.status !== 200 || delivered === null) {
		return {told: await answered(response)};
	}
	if (subscribers === '0') {
		return {good: true, told: 'Sent, but no client is listening.'};
	}
	return {good: true, told: `Sent: ${delivered} of ${subscribers} listening have it.`};
}

// follow calls on for each event of a topic, {type, id, data}, until signal aborts. It reconnects after a break, and calls state
// with true while it is subscribed, otherwise with false. It returns a sentence if the server refuses. It uses no EventSource,
// because that cannot send a token.
export async function follow(url, token, signal, on, state) {
	let last = '';
	while (!signal.aborted) {
		try {
			const response = await fetch(url, {cache: 'no-store', signal, headers: {Accept: 'text/event-stream', ...last && {'Last-Event-ID': last}, ...authorization(token)}});
			if (response.status !== 200 || !response.headers.get('Content-Type')?.startsWith('text/event-stream')) {
				return await answered(response);
			}
			state(!response.headers.get('Httpipe-Error')); // with it, the server only says to come back
			for await (const event of events(response.body)) {
				last = event.id || last;
				if (event.data !== undefined) {
					on(event);
				}
			}
		} catch {} // the connection broke, or the user has stopped it
		state(false);
		await pause(2000, signal);
	}
	return '';
}

// events yields the events in a stream.
async function* events(body) {
	const texts = body.pipeThrough(new TextDecoderStream()).getReader(); // not every browser can iterate over a stream
	let rest = '';
	for (let text = await texts.read(); !text.done; text = await texts.read()) {
		const parts = (rest + text.value).split('\n\n');
		rest = parts.pop();
		for (const part of parts) {
			const event = {type: 'message'};
			for (const line of part.split('\n')) { // and not at U+2028, which a message may have in it
				const [, name, value] = /^(id|event|data): (.*)$/s.exec(line) ?? [];
				if (name === 'data') {
					event.data = event.data === undefined ? value : `${event.data}\n${value}`;
				} else if (name) {
					event[name === 'event' ? 'type' : name] = value;
				}
			}
			yield event;
		}
	}
}

function pause(ms, signal) {
	return new Promise(resolve => {
		const timer = setTimeout(resolve, ms);
		signal.addEventListener('abort', () => {
			clearTimeout(timer);
			resolve();
		}, {once: true});
	});
}
