// An End is one half of the page: its buttons, and the report of what it does.

import {clock} from './words.js';

export class End {
	#control = null; // of what runs

	// section holds the elements; start is called when the user submits the form; changed, when busy has changed.
	constructor(section, start, changed) {
		const find = selector => section.querySelector(selector);
		[this.go, this.cancel, this.report] = [find('.go'), find('.cancel'), find('.report')];
		[this.headline, this.clock, this.bar, this.detail, this.exchange] =
			['.headline', '.clock', 'progress', '.detail', '.exchange'].map(find);
		this.changed = changed;
		this.cancel.addEventListener('click', () => this.#control?.abort());
		find('form').addEventListener('submit', event => {
			event.preventDefault();
			if (!this.busy) {
				start();
			}
		});
	}

	get busy() {
		return this.#control !== null;
	}

	// say reports a state: waiting, moving, good, bad or idle. The headline is read aloud when it changes.
	say(state, headline, detail) {
		this.report.hidden = false;
		this.report.dataset.state = state;
		if (this.headline.textContent !== headline) {
			this.headline.textContent = headline;
		}
		this.detail.textContent = detail;
	}

	// refuse says why nothing was started, and focuses the field that the user must change.
	refuse(headline, detail, field) {
		this.say('bad', headline, detail);
		this.bar.hidden = true;
		this.clock.textContent = this.exchange.textContent = '';
		field.focus();
	}

	// measure sets the bar. A total of null is unknown.
	measure(value, total) {
		this.bar.hidden = false;
		if (total === null) {
			this.bar.removeAttribute('value');
			return;
		}
		this.bar.max = total || 1;
		this.bar.value = total ? value : 1;
	}

	// run runs a transfer, which gets a signal that stops it, and returns how it ended. Meanwhile tick
	// is called now and then.
	async run(transfer, tick) {
		const began = Date.now();
		const time = () => {
			this.clock.textContent = clock(Date.now() - began);
			tick();
		};
		this.#set(new AbortController());
		this.exchange.textContent = '';
		time();
		const timer = setInterval(time, 500);
		try {
			return await transfer(this.#control.signal);
		} finally {
			clearInterval(timer);
			this.#set(null);
		}
	}

	// conclude reports how a transfer ended.
	conclude({kind, exchange}, {good, headline, detail}) {
		this.say(good ? 'good' : kind === 'cancelled' ? 'idle' : 'bad', headline, detail);
		this.bar.hidden = !good; // where it stood says little: of an upload that was answered early, browsers report all as sent
		this.exchange.textContent = exchange ? `Exchange ${exchange}` : '';
	}

	#set(control) {
		this.#control = control;
		// The button stays in the focus order, so that a keyboard user does not lose the place.
		this.go.setAttribute('aria-disabled', this.busy);
		if (!this.busy && document.activeElement === this.cancel) {
			this.go.focus();
		}
		this.cancel.hidden = !this.busy;
		this.changed();
	}
}
