// Elements for rows. Clients chose what is in the log, so it is put in as text, never as markup.

import {outcomes, weight} from './audit-words.js';

// element returns a new element with a class, and with texts or elements in it.
export function element(name, className = '', ...content) {
	const made = document.createElement(name);
	if (className) {
		made.className = className;
	}
	made.append(...content);
	return made;
}

// write gives an element a text. An element that has this text already is not touched, and keeps its selection.
export function write(target, text) {
	if (target.textContent !== text) {
		target.textContent = text;
	}
}

// keep makes the children of a parent those of the items, in their order. A child whose item has the same key
// as before stays what it is, so that nothing flickers and nobody loses their place.
export function keep(parent, items, keyOf, create, update) {
	const before = parent.kept ?? new Map();
	const now = new Map(items.map(item => [keyOf(item), item]));
	for (const [key, child] of before) {
		if (!now.has(key)) {
			child.remove();
		}
	}
	let next = parent.firstElementChild;
	for (const [key, item] of now) {
		const child = before.get(key) ?? create(item);
		now.set(key, child);
		update(child, item);
		if (child === next) {
			next = next.nextElementSibling;
		} else {
			parent.insertBefore(child, next);
		}
	}
	parent.kept = now;
}

// cells makes a row of a table with empty cells, which have the titles of their columns for screens that have no room for
// columns.
export function cells(titles) {
	return element('tr', '', ...titles.map(title => {
		const cell = element('td');
		cell.dataset.title = title;
		return cell;
	}));
}

// name returns an element with a channel's name, which may wrap after the namespace.
export function name({namespace, channel}, tag = 'span') {
	return element(tag, 'mono name', element('span', 'soft', `${namespace}/`), element('wbr'), channel);
}

// mark returns a small label.
export function mark(text, title = '') {
	const made = element('span', 'mark', text);
	made.title = title;
	return made;
}

// client returns an element with a client's address, and its agent or the name of its token.
export function client(addr, who = '') {
	const made = element('span', 'client', element('span', 'mono', addr), ' ', element('span', 'who', who));
	made.title = who;
	return made;
}

// badge returns an outcome with its colour.
export function badge(outcome, show = 'exchanges') {
	const made = element('span', `badge ${weight(outcome)}`, outcome);
	made.title = outcomes[show][outcome] ?? '';
	return made;
}

const two = n => String(n).padStart(2, '0');

// day and minute return parts of a time, in local time.
export const day = at => `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
export const minute = at => `${two(at.getHours())}:${two(at.getMinutes())}`;
export const moment = at => `${day(at)} ${minute(at)}:${two(at.getSeconds())}`;

// time returns an element with a time of the log. Where there is little room, the style sheet leaves out the year, and the day
// if that is today.
export function time(text) {
	const made = element('time');
	if (text) {
		const at = new Date(text);
		const [date, clock] = moment(at).split(' ');
		made.append(element('span', 'year', date.slice(0, 5)), element('span', date === day(new Date()) ? 'today' : '', `${date.slice(5)} `), clock);
	}
	made.dateTime = made.title = text ?? '';
	return made;
}

export const count = n => n.toLocaleString('en');

// span returns a duration as people read it.
export function span(ms) {
	if (ms < 1000) {
		return `${Math.round(ms)}\u00a0ms`;
	}
	if (ms < 60_000) {
		return `${Number((ms / 1000).toFixed(ms < 9950 ? 1 : 0))}\u00a0s`;
	}
	const units = [['d', 86_400_000], ['h', 3_600_000], ['min', 60_000], ['s', 1000]];
	const first = units.findIndex(([, length]) => ms >= length);
	const [[unit, length], [small, part]] = units.slice(first);
	const rest = Math.floor(ms % length / part);
	return `${Math.floor(ms / length)}\u00a0${unit}${rest ? `\u00a0${rest}\u00a0${small}` : ''}`;
}
