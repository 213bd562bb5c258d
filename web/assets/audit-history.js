// What happened: exchanges, or requests that were never matched, page by page; and one exchange in full.

import {ask} from './audit-data.js';
import {badge, cells, client, count, element, keep, name, span, time, write} from './audit-rows.js';
import {columns, outcomes} from './audit-words.js';
import {size} from './words.js';

const $ = id => document.getElementById(id);

const perPage = 100;

const titles = {
	exchanges: ['Began', 'Channel', 'Outcome', 'Bytes', 'Took', 'From', 'To'],
	requests: ['Ended', 'Channel', 'Outcome', 'Role', 'Waited', 'Who', 'Why'],
};

// list shows a page of what the filter asks for, and returns the cursor of the next, if there is one. links returns the
// addresses of an exchange, and of a channel.
export async function list(show, filter, cursor, links, signal) {
	const body = $('rows').tBodies[0];
	let found = [];
	$('list').ariaBusy = true;
	write($('rows-note'), 'Looking …');
	$('rows').tHead.rows[0].replaceChildren(...titles[show].map(title => element('th', '', title)));
	body.replaceChildren();
	body.kept = undefined;
	try {
		cursor = await search(show, filter, cursor, signal, rows => {
			put(show, rows, links);
			found = rows;
			write($('rows-note'), `Looking …${rows.length ? ` ${count(rows.length)} so far.` : ''}`);
		});
	} finally {
		if (!signal.aborted) { // or another list is on its way
			$('list').ariaBusy = false;
			finish(found);
		}
	}
	return cursor;
}

// renew shows the newest page again, if it has changed. Rows that were there stay in place. It returns the cursor of the next
// page, or null if nothing has changed.
export async function renew(show, filter, links, signal) {
	let found = [];
	const cursor = await search(show, filter, '', signal, rows => { found = rows; });
	const kept = $('rows').tBodies[0].kept;
	if (signal.aborted || kept && found.length === kept.size && [...keys(found).values()].every(key => kept.has(key))) {
		return null;
	}
	put(show, found, links);
	finish(found);
	return cursor;
}

// search collects the rows of a page, and calls found with what it has so far. It asks again until the page is full, because the
// server searches only for a moment each time. It returns the cursor of the next page, if there is one.
async function search(show, filter, cursor, signal, found) {
	const rows = [];
	do {
		const page = await ask(`/audit/${show}`, {...filter, cursor, limit: perPage - rows.length}, signal);
		if (signal.aborted) {
			return '';
		}
		rows.push(...page[show]);
		cursor = page.next || '';
		found(rows);
	} while (cursor && rows.length < perPage);
	return cursor;
}

// keys returns a key for each row, which differs if the row has changed, as when an exchange has ended. Rows of requests can be
// alike.
function keys(rows) {
	const seen = new Map();
	return new Map(rows.map(row => {
		const text = JSON.stringify(row);
		const before = seen.get(text) ?? 0;
		seen.set(text, before + 1);
		return [row, `${before} ${text}`];
	}));
}

// put makes the table that of the rows.
function put(show, rows, links) {
	const keyOf = keys(rows);
	keep($('rows').tBodies[0], rows, row => keyOf.get(row), row => show === 'exchanges' ? exchangeRow(row, links) : requestRow(row, links), () => {});
}

function finish(rows) {
	write($('rows-note'), rows.length ? '' : 'No records match.');
	$('rows').hidden = rows.length === 0;
}

// channelLink returns a link to all that is on record of the channel of a row.
function channelLink(row, links) {
	const link = name(row, 'a');
	link.href = links.channel(row);
	return link;
}

function exchangeRow(row, links) {
	const made = cells(titles.exchanges);
	const [began, channel, outcome, bytes, took, from, to] = made.children;
	const link = element('a', '', time(row.matched_at));
	link.href = links.exchange(row.id);
	began.append(link);
	channel.append(channelLink(row, links));
	outcome.append(badge(row.outcome));
	bytes.append(row.bytes === null ? '–' : size(row.bytes));
	took.append(row.duration_ms === null ? '–' : span(row.duration_ms));
	from.append(client(row.producer_addr, row.producer_subject || row.producer_agent));
	to.append(client(row.consumer_addr, row.consumer_subject || row.consumer_agent));
	return made;
}

function requestRow(row, links) {
	const made = cells(titles.requests);
	const [ended, channel, outcome, role, waited, who, why] = made.children;
	ended.append(time(row.ended_at));
	channel.append(channelLink(row, links));
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
