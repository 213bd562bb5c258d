// How fast a transfer is.

import {clock, size} from './words.js';

const window = 5000; // ms over which the speed is measured

// A Pace is told how many bytes have moved.
export class Pace {
	#notes = []; // {at, bytes} of the last seconds, oldest first

	note(bytes) {
		const at = Date.now();
		if (bytes !== this.#notes.at(-1)?.bytes) {
			this.#notes.push({at, bytes});
		}
		while (this.#notes.length > 2 && at - this.#notes[0].at > window) {
			this.#notes.shift();
		}
	}

	// moving says whether bytes have moved within so many milliseconds.
	moving(within) {
		return this.#notes.length > 0 && Date.now() - this.#notes.at(-1).at < within;
	}

	// say returns the speed and, if the total is known, the time left, as the end of a sentence. It is empty at first.
	say(total) {
		const [first, last] = [this.#notes[0], this.#notes.at(-1)];
		const took = Date.now() - first?.at;
		if (!(took > 1000) || last.bytes === first.bytes) {
			return '';
		}
		const speed = (last.bytes - first.bytes) / took; // bytes per ms
		return `, ${size(speed * 1000)}/s` + (total === null ? '' : `, ${clock((total - last.bytes) / speed)} left`);
	}
}
