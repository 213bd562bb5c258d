// How many clients wait on the channel of the chosen name, and listen to the topic of that name.

import {authorization} from './token.js';

const pause = 4000; // ms between two questions
const rest = 60_000; // after a question that the server refused

// A Presence asks the server while the page is visible, and calls show with {senders, receivers, listeners}, or with null if
// these are unknown. target returns the URLs to ask and the token, {channel, topic, token}, or null.
export class Presence {
	#look = new AbortController();

	constructor(target, show) {
		[this.target, this.show] = [target, show];
		document.addEventListener('visibilitychange', () => this.again());
	}

	// again asks anew, because the target may have changed.
	again() {
		this.#look.abort();
		this.#look = new AbortController();
		this.#watch(this.#look.signal);
	}

	async #watch(signal) {
		this.show(null);
		await wait(300, signal); // while the user types
		while (!signal.aborted && !document.hidden) {
			const seen = await this.#seen(signal);
			if (signal.aborted) {
				return;
			}
			this.show(seen);
			await wait(seen ? pause : rest, signal);
		}
	}

	async #seen(signal) {
		const target = this.target();
		if (!target) {
			return null;
		}
		const heads = await Promise.all([target.channel, target.topic].map(url => head(url, target.token, signal)));
		if (heads.includes(null)) {
			return null;
		}
		const count = (head, name) => Number(head.get(name) ?? 0);
		return {
			senders: count(heads[0], 'Httpipe-Producers'), receivers: count(heads[0], 'Httpipe-Consumers'),
			listeners: count(heads[1], 'Httpipe-Consumers'),
		};
	}
}

// head returns the headers of the response to HEAD, without counts if nothing waits, or null if the server does not tell.
async function head(url, token, signal) {
	try {
		const {status, headers} = await fetch(url, {method: 'HEAD', cache: 'no-store', signal, headers: authorization(token)});
		return status === 200 || status === 404 && headers.get('Httpipe-Error') === 'not_found' ? headers : null;
	} catch {
		return null; // no answer, or the signal was aborted
	}
}

const wait = (ms, signal) => new Promise(resolve => {
	setTimeout(resolve, ms);
	signal.addEventListener('abort', resolve, {once: true});
});
