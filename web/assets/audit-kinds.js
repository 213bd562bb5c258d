// The kinds of records: their columns in the list, and the records that are related to one of them.

import {badge, client, count, element, mark, span, time} from './audit-rows.js';
import {size} from './words.js';

const bytes = n => n === null ? '–' : size(n);
const lasted = (from, to) => to ? span(Math.max(0, Date.parse(to) - Date.parse(from))) : '–';

// Each kind has: one, the title of a record; named, the column (and the parameter) that has the second part of its name;
// since, the title and the column of its time; and the columns after time, name and outcome: [title, function that returns the
// content of a row's cell, whether a phone shows it].
export const kinds = {
	exchanges: {
		one: 'Exchange', named: 'channel', since: ['Began', 'matched_at'],
		columns: [
			['Bytes', row => bytes(row.bytes), true],
			['Took', row => row.duration_ms === null ? '–' : span(row.duration_ms), true],
			['From', row => client(row.producer_addr, row.producer_subject || row.producer_agent)],
			['To', row => client(row.consumer_addr, row.consumer_subject || row.consumer_agent)],
		],
	},
	calls: {
		one: 'Call', named: 'service', since: ['Taken', 'taken_at'],
		columns: [
			['Method', row => row.method, true],
			['Status', row => row.status === null ? '–' : String(row.status), true],
			['Took', row => lasted(row.taken_at, row.ended_at), true],
			['Caller', row => client(row.caller_addr)],
			['Worker', row => client(row.worker_addr)],
		],
	},
	publications: {
		one: 'Publication', named: 'topic', since: ['Published', 'published_at'],
		columns: [
			['Bytes', row => bytes(row.bytes), true],
			['Delivered', row => row.delivered === null ? '–' : `${count(row.delivered)} of ${count(row.subscribers)}`, true],
			['From', row => client(row.producer_addr, row.producer_subject || row.producer_agent)],
		],
	},
	subscriptions: {
		one: 'Subscription', named: 'topic', since: ['Began', 'subscribed_at'],
		columns: [
			['Messages', row => row.messages === null ? '–' : count(row.messages), true],
			['Bytes', row => bytes(row.bytes)],
			['Lasted', row => lasted(row.subscribed_at, row.ended_at), true],
			['Client', row => client(row.addr, row.subject || row.agent)],
		],
	},
	requests: {
		one: 'Unmatched request', named: 'channel', since: ['Ended', 'ended_at'],
		columns: [
			['Role', row => row.role || '–', true],
			['Waited', row => span(row.wait_ms), true],
			['Client', row => client(row.addr, row.subject || row.agent)],
			['Reason', row => row.reason || '–'],
		],
	},
};

// nameOf returns the name of the channel, topic or service of a record.
export const nameOf = (kind, row) => ({namespace: row.namespace, channel: row[kinds[kind].named]});

// marks returns the labels beside the name of a record of a topic or a service.
export function marks(kind, row) {
	switch (true) {
	case kind === 'exchanges' && row.shape === 'service':
		return [' ', row.reply_to ? mark('answer', 'The answer of a worker to the caller of this service') : mark('call', 'The request of a caller to a worker of this service')];
	case kind === 'requests' && row.shape && row.shape !== 'channel':
		return [' ', mark(row.shape)];
	default:
		return [];
	}
}

// outcome returns the outcome of a record, and of how many requests.
export const outcome = (kind, row) => [badge(row.outcome, kind), ...row.count > 1 ? [` × ${count(row.count)}`] : []];

// related returns the lists of records that are related to a record: {title, path, parameters, item, all}. item returns the
// content of an item for a row, and all is the full number of rows. The log has the deliveries to a subscription only after
// its end, so rows may be missing.
export function related(kind, row, links) {
	const to = (show, id, ...content) => {
		const link = element('a', '', ...content);
		link.href = links.record(show, id);
		return link;
	};
	const both = {namespace: row.namespace, topic: row.topic};
	switch (true) {
	case kind === 'publications' && row.delivered > 0:
		return [{title: 'Delivered to', path: 'subscriptions', parameters: {...both, publication: row.id}, all: row.delivered,
			item: s => [to('subscriptions', s.id, element('span', 'mono', s.addr)), ' ', element('span', 'soft', s.subject || s.agent)]}];
	case kind === 'subscriptions' && row.messages > 0:
		return [{title: 'Took', path: 'publications', parameters: {...both, subscription: row.id}, all: row.messages,
			item: p => [to('publications', p.id, time(p.published_at)), ' ', element('span', 'soft', bytes(p.bytes))]}];
	default:
		return [];
	}
}

// target returns the kind and the id of the record that a column of another names, or null.
export function target(kind, column, row) {
	switch (true) {
	case kind === 'exchanges' && column === 'reply_to':
		return ['calls', row.reply_to];
	case kind === 'exchanges' && column === 'id' && row.shape === 'service' && !row.reply_to:
		return ['calls', row.id];
	case kind === 'calls' && column === 'id':
		return ['exchanges', row.id];
	case kind === 'subscriptions' && (column === 'first' || column === 'last'):
		return ['publications', row[column]];
	default:
		return null;
	}
}
