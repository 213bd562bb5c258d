// The part of the page that listens to the topic of the chosen name, and sends to all that do.

import {follow, publish} from './topic.js';
import {size} from './words.js';

// most is how many messages are shown.
const most = 200;

// add adds a message to a list, as text, never as markup.
export function add(list, text, type = 'message') {
	const item = document.createElement('li');
	const time = document.createElement('time');
	time.textContent = new Date().toLocaleTimeString();
	const words = document.createElement('span');
	words.textContent = text;
	words.dir = 'auto';
	item.className = type;
	item.append(time, words);
	list.append(item);
	while (list.childElementCount > most) {
		list.firstElementChild.remove();
	}
	list.scrollTop = list.scrollHeight;
}

export class Feed {
	#control = null; // of what listens

	// section holds the elements; target returns where to listen, {url, token, name}, or null; changed is called when busy has
	// changed.
	constructor(section, target, changed) {
		const find = selector => section.querySelector(selector);
		[this.button, this.notify, this.list, this.text, this.told] = ['.listen', '.notify', 'ol', '.say input', '.told'].map(find);
		[this.target, this.changed] = [target, changed];
		this.button.addEventListener('click', () => this.busy ? this.#control.abort() : this.listen());
		this.notify.addEventListener('change', () => this.askToNotify());
		find('.say').addEventListener('submit', event => {
			event.preventDefault();
			this.say();
		});
	}

	get busy() {
		return this.#control !== null;
	}

	tell(state, told) {
		this.told.dataset.state = state;
		this.told.textContent = told;
	}

	// listen shows all messages until the user stops it.
	async listen() {
		const target = this.target();
		if (!target) {
			return;
		}
		this.#control = new AbortController();
		this.button.textContent = 'Stop';
		this.changed();
		this.tell('waiting', 'Connecting …');
		const refusal = await follow(target.url, target.token, this.#control.signal, event => this.show(event, target.name),
			open => this.tell(open ? 'good' : 'waiting', open ? 'Listening.' : 'The connection broke. It is tried again.'));
		this.#control = null;
		this.button.textContent = 'Listen';
		this.changed();
		this.tell(refusal ? 'bad' : 'idle', refusal || 'Stopped.');
	}

	// show adds an event to the list.
	show({type, data}, name) {
		const text = {
			missed: data === 'unknown' ? 'Messages may have been missed.' : `Missed: ${data}.`,
			base64: `A message that is not text (${size(atob(type === 'base64' ? data : '').length)}).`,
		}[type] ?? data;
		add(this.list, text, type);
		if (this.notify.checked && document.hidden) {
			new Notification(name, {body: text});
		}
	}

	// askToNotify asks the user for the permission to show notifications.
	async askToNotify() {
		if (this.notify.checked && (!window.Notification || await Notification.requestPermission() !== 'granted')) {
			this.notify.checked = false;
			this.tell('bad', 'This browser does not allow notifications here.');
		}
	}

	async say() {
		const target = this.target();
		const text = this.text.value;
		if (!target || !text) {
			return;
		}
		const {good, told} = await publish(target.url, text, target.token);
		this.tell(good ? 'good' : 'bad', told);
		if (good && this.text.value === text) {
			this.text.value = '';
		}
	}
}
