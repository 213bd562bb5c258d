// What happened: records of one kind, page by page, and one record in full.

import {ask} from './audit-data.js';
import {kinds, marks, nameOf, outcome, related, target} from './audit-kinds.js';
import {badge, cells, count, element, keep, name, span, time, write} from './audit-rows.js';
import {columns, outcomes} from './audit-words.js';
import {size} from './words.js';

const $ = id => document.getElementById(id);

const perPage = 100;

const capital = word => word[0].toUpperCase() + word.slice(1);

// titles returns the titles of the columns of a kind.
const titles = ({since, named, columns}) => [since[0], capital(named), 'Outcome', ...columns.map(([title]) => title)];

// list shows a page of what the filter asks for, and returns the cursor of the next, if there is one. links returns the
// addresses of a record, and of all records of a name.
export async function list(show, filter, cursor, links, signal) {
	const body = $('rows').tBodies[0];
	let found = [];
	$('list').ariaBusy = true;
	write($('rows-note'), 'Looking …');
	$('rows').tHead.rows[0].replaceChildren(...titles(kinds[show]).map(title => element('th', '', title)));
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
	keep($('rows').tBodies[0], rows, row => keyOf.get(row), row => recordRow(show, row, links), () => {});
}

function finish(rows) {
	write($('rows-note'), rows.length ? '' : 'No records match.');
	$('rows').hidden = rows.length === 0;
}

// recordRow returns the row of a record. Its last columns are not shown where there is little room: the record itself has them.
function recordRow(show, row, links) {
	const kind = kinds[show];
	const made = cells(titles(kind));
	const [when, what, how, ...rest] = made.children;
	const link = element('a', '', time(row[kind.since[1]]));
	link.href = links.record(show, row.id);
	when.append(link);
	const named = name(nameOf(show, row), 'a');
	named.href = links.named(nameOf(show, row));
	what.append(named, ...marks(show, row));
	how.append(...outcome(show, row));
	kind.columns.forEach(([, content, brief], i) => {
		rest[i].append(content(row));
		rest[i].className = brief ? 'brief' : 'more';
	});
	return made;
}

const mostRelated = 100;

// detail shows a record with all that is in the log about it.
export async function detail(show, id, links, signal) {
	const list = $('details').querySelector('dl');
	list.replaceChildren();
	write($('details-title'), kinds[show].one);
	write($('details-note'), 'Looking …');
	const row = await ask(`/audit/${show}/${encodeURIComponent(id)}`, {}, signal);
	write($('details-note'), outcomes[show][row.outcome] ?? '');
	const {named} = kinds[show];
	const add = (title, ...content) => list.append(element('dt', '', title), element('dd', '', ...content));
	add(capital(row.shape || named), name(nameOf(show, row)));
	const rest = Object.keys(row).filter(column => !(column in columns) && !['namespace', named, 'shape'].includes(column));
	for (const column of [...Object.keys(columns), ...rest]) {
		const value = row[column];
		if (value === undefined || value === null || value === '' || column === 'life' && row.shape === 'service') {
			continue; // the log has no row for the life of a service
		}
		const other = target(show, column, row);
		const content = shown(show, column, value);
		if (other) {
			const link = element('a', '', content);
			link.href = links.record(...other);
			add(columns[column] ?? column, link);
		} else {
			add(columns[column] ?? column, content);
		}
	}
	for (const {title, path, parameters, item, all} of related(show, row, links)) {
		const {[path]: rows, next} = await ask(`/audit/${path}`, {...parameters, limit: mostRelated}, signal);
		const items = rows.map(row => element('li', '', ...item(row)));
		const more = all - rows.length;
		if (more > 0) {
			items.push(element('li', 'soft', next ? `and ${count(more)} more` : `${items.length ? 'and ' : ''}${count(more)} whose subscription has not ended`));
		}
		add(title, element('ul', 'related', ...items));
	}
}

function shown(show, column, value) {
	switch (true) {
	case column === 'outcome':
		return badge(value, show);
	case column === 'bytes':
		return value < 1000 ? count(value) : `${count(value)} (${size(value)})`;
	case column.endsWith('_at'):
		return element('span', '', time(value), ' ', element('span', 'soft', `(${value})`));
	case column.endsWith('_ms'):
		return value < 1000 ? span(value) : `${span(value)} (${count(value)} ms)`;
	case column === 'life':
		return element('span', '', element('span', 'mono', String(value)), ' ', element('span', 'soft', '(its id in the view channels of the log)'));
	case typeof value === 'number' && column !== 'id':
		return count(value);
	default:
		return element('span', 'mono', String(value));
	}
}
