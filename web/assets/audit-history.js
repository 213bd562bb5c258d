// What happened: exchanges, or requests that were never matched, page by page; and one exchange in full.

import {ask} from './audit-data.js';
import {badge, cells, client, count, element, name, span, time, write} from './audit-rows.js';
import {columns, outcomes} from './audit-words.js';
import {size} from './words.js';

const $ = id => document.getElementById(id);

const perPage = 100;

const titles = {
	exchanges: ['Began', 'Channel', 'Outcome', 'Bytes', 'Took', 'From', 'To'],
	requests: ['Ended', 'Channel', 'Outcome', 'Role', 'Waited', 'Who', 'Why'],
};

// list shows a page of what the filter asks for, and returns the cursor of the next, if there is one. It asks again
// until the page is full, because the server searches only for a moment each time.
export async function list(show, filter, cursor, detailed, signal) {
	const body = $('rows').tBodies[0];
	const found = [];
	$('list').ariaBusy = true;
	write($('rows-note'), 'Looking …');
	$('rows').tHead.rows[0].replaceChildren(...titles[show].map(title => element('th', '', title)));
	body.replaceChildren();
	try {
		do {
			const page = await ask(`/audit/${show}`, {...filter, cursor, limit: perPage - found.length}, signal);
			if (signal.aborted) {
				return '';
			}
			const rows = page[show];
			body.append(...rows.map(row => show === 'exchanges' ? exchangeRow(row, detailed(row.id)) : requestRow(row)));
			found.push(...rows);
			cursor = page.next || '';
			write($('rows-note'), `Looking …${found.length ? ` ${count(found.length)} so far.` : ''}`);
		} while (cursor && found.length < perPage);
	} finally {
		if (!signal.aborted) { // or another list is on its way
			$('list').ariaBusy = false;
			write($('rows-note'), found.length ? '' : 'No records match.');
			$('rows').hidden = found.length === 0;
		}
	}
	return cursor;
}

function exchangeRow(row, href) {
	const made = cells(titles.exchanges);
	const [began, channel, outcome, bytes, took, from, to] = made.children;
	const link = element('a', '', time(row.matched_at));
	link.href = href;
	began.append(link);
	channel.append(name(row));
	outcome.append(badge(row.outcome));
	bytes.append(row.bytes === null ? '–' : size(row.bytes));
	took.append(row.duration_ms === null ? '–' : span(row.duration_ms));
	from.append(client(row.producer_addr, row.producer_subject || row.producer_agent));
	to.append(client(row.consumer_addr, row.consumer_subject || row.consumer_agent));
	return made;
}

function requestRow(row) {
	const made = cells(titles.requests);
	const [ended, channel, outcome, role, waited, who, why] = made.children;
	ended.append(time(row.ended_at));
	channel.append(name(row));
	outcome.append(badge(row.outcome, 'requests'), row.count > 1 ? ` × ${count(row.count)}` : '');
	role.append(row.role || '–');
	waited.append(span(row.wait_ms));
	who.append(client(row.addr, row.subject || row.agent));
	why.append(row.reason || '–');
	return made;
}

// detail shows one exchange with all that is on record of it.
export async function detail(id, signal) {
	const list = $('details').querySelector('dl');
	list.replaceChildren();
	write($('details-note'), 'Looking …');
	const row = await ask(`/audit/exchanges/${encodeURIComponent(id)}`, {}, signal);
	write($('details-note'), outcomes.exchanges[row.outcome] ?? '');
	const add = (title, ...content) => list.append(element('dt', '', title), element('dd', '', ...content));
	add('Channel', name(row));
	const rest = Object.keys(row).filter(column => !(column in columns) && column !== 'namespace' && column !== 'channel');
	for (const column of [...Object.keys(columns), ...rest]) {
		const value = row[column];
		if (value === undefined || value === null || value === '') {
			continue;
		}
		add(columns[column] ?? column, shown(column, value));
	}
}

function shown(column, value) {
	switch (true) {
	case column === 'outcome':
		return badge(value);
	case column === 'bytes':
		return value < 1000 ? count(value) : `${count(value)} (${size(value)})`;
	case column.endsWith('_at'):
		return element('span', '', time(value), ' ', element('span', 'soft', `(${value})`));
	case column.endsWith('_ms'):
		return value < 1000 ? span(value) : `${span(value)} (${count(value)} ms)`;
	default:
		return element('span', 'mono', String(value));
	}
}
