// What happens now: the waiting clients and the running exchanges. The server sends a view whenever something has
// changed; in between only the clocks move.

import {Failure, listen, token} from './audit-data.js';
import {cells, client, count, element, keep, mark, moment, name, write} from './audit-rows.js';
import {clock, size} from './words.js';

const $ = id => document.getElementById(id);

// How many rows are shown; there may be thousands.
const most = {channels: 200, running: 100, clients: 50};

let view = null; // the last one received
let came = 0; // when it was received, by this browser's clock
let cut = null; // why the connection is cut, or null
let cutAt = 0; // since when

// since returns how long ago a time of the server is. Clocks differ, so it counts from the view's own time. While the
// connection is cut, it stands still.
const since = text => Math.max(0, Date.parse(view.at) - Date.parse(text) + (cut ? cutAt : Date.now()) - came);

// watch shows what happens for as long as the page is open. If the server refuses, it calls failed and waits for the
// promise that failed returns.
export async function watch(failed) {
	setInterval(tick, 1000);
	let pause = 1;
	for (;;) {
		const used = token();
		try {
			await listen('/audit/live', event => {
				[view, came, cut, pause] = [event, Date.now(), null, 1];
				show();
			});
		} catch (failure) {
			if (!(failure instanceof Failure)) {
				throw failure;
			}
			[cut, cutAt] = [failure, cut ? cutAt : Date.now()];
		}
		tell();
		if (cut.denied) {
			if (used === token()) { // and no other has been given meanwhile
				await failed(cut);
			}
			pause = 1;
			continue;
		}
		await Promise.race([new Promise(over => setTimeout(over, pause * 1000)), new Promise(back => addEventListener('online', back, {once: true}))]);
		pause = Math.min(2 * pause, 15);
	}
}

// tell shows whether the view is current.
function tell() {
	const link = $('link');
	link.dataset.state = cut ? 'off' : 'on';
	$('now').classList.toggle('stale', Boolean(cut));
	if (!cut) {
		write(link, 'Live');
	} else if (cut.status) {
		write(link, cut.says);
	} else {
		write(link, view ? `Cut off at ${moment(new Date(cutAt))}; trying again` : 'No connection; trying again');
	}
}

function show() {
	tell();
	write($('now-title'), view.node ? `Now, on node ${view.node}` : 'Now');
	for (const [id, one, more] of [['producers', 'producer waiting', 'producers waiting'], ['exchanges', 'running', 'running'], ['consumers', 'consumer waiting', 'consumers waiting']]) {
		write($(id), count(view[id]));
		write($(id).nextElementSibling, view[id] === 1 ? one : more);
	}
	showParts();
}

function tick() {
	if (view && !cut && !document.hidden) {
		showParts();
	}
}

function showParts() {
	showRunning();
	showWaiting();
	showTopics();
}

// marked returns the name of a row, with a mark unless it is a channel's.
const marked = row => element('span', '', name(row), ...row.shape ? [' ', mark(row.shape)] : []);

// What runs.

const titles = ['Channel', 'Bytes', 'Rate', 'Time left', 'Elapsed', 'From', 'To'];

function showRunning() {
	const rows = view.running.slice(0, most.running);
	keep($('running'), rows, row => row.id, createRun, updateRun);
	const more = view.exchanges - rows.length;
	write($('running-note'), view.exchanges === 0 ? 'Nothing.' : more > 0 ? `These are the oldest; ${count(more)} more run.` : '');
	$('running').closest('table').hidden = rows.length === 0;
}

function createRun(row) {
	const made = cells(titles);
	const [channel, bytes, , , , from, to] = made.children;
	channel.append(marked(row));
	bytes.append(element('span'), element('progress'));
	bytes.lastChild.ariaLabel = 'Progress';
	from.append(client(row.producer_addr, row.producer_agent));
	to.append(client(row.consumer_addr, row.consumer_agent));
	return made;
}

function updateRun(made, row) {
	const [, bytes, rate, left, began] = made.children;
	const length = row.length ?? row.length_at_most; // a form is a little longer than the file in it
	const known = length !== undefined;
	write(bytes.firstChild, known ? `${size(row.bytes)} of ${row.length === undefined ? 'at most ' : ''}${size(length)}` : size(row.bytes));
	bytes.lastChild.hidden = !known;
	if (known) {
		bytes.lastChild.value = row.progress ?? 0;
	}
	write(rate, `${size(row.bytes_per_second)}/s`);
	write(left, row.remaining_ms === undefined ? '–' : clock(row.remaining_ms));
	write(began, clock(since(row.matched_at)));
}

// The waiting clients, by channel. The channel with the longest wait is first.

function showWaiting() {
	const channels = new Map();
	for (const row of view.waiting) {
		const key = `${row.shape ?? ''} ${row.namespace}/${row.channel}`;
		const channel = channels.get(key) ?? {key, ...row, clients: [], producer: 0, consumer: 0};
		channel.clients.push(row);
		channel[row.role]++;
		channels.set(key, channel);
	}
	const rows = [...channels.values()].slice(0, most.channels);
	keep($('waiting'), rows, row => row.key, createChannel, updateChannel);
	const more = view.producers + view.consumers - rows.reduce((sum, row) => sum + row.clients.length, 0);
	write($('waiting-note'), view.producers + view.consumers === 0 ? 'No client waits.' : more > 0 ? `These have waited longest; ${count(more)} more wait.` : '');
}

// roleOf returns what a client in a role is called where it waits.
const roleOf = ({shape}, role) => shape === 'service' ? {producer: 'caller', consumer: 'worker'}[role] : role;

function createChannel(row) {
	const made = element('details', '', element('summary', '', marked(row), element('span', 'roles'), element('span', 'clock')), element('ol'));
	made.addEventListener('toggle', () => showClients(made));
	return made;
}

function updateChannel(made, row) {
	made.row = row;
	const [, roles, age] = made.firstChild.children;
	write(roles, ['producer', 'consumer'].filter(role => row[role]).map(role => `${count(row[role])} ${roleOf(row, role)}${row[role] === 1 ? '' : 's'}`).join(', '));
	write(age, clock(since(row.arrived_at)));
	showClients(made);
}

// showClients lists the clients that wait on a channel, if its row is open.
function showClients(made) {
	const list = made.lastChild;
	const {clients} = made.row;
	const rows = made.open ? clients.slice(0, most.clients).map((row, i) => ({...row, i})) : [];
	if (made.open && clients.length > rows.length) {
		rows.push({more: clients.length - rows.length});
	}
	keep(list, rows, row => row.more ? 'more' : `${row.i} ${row.role} ${row.arrived_at} ${row.addr} ${row.agent}`, createClient, updateClient);
}

function createClient(row) {
	if (row.more) {
		return element('li', 'hint');
	}
	return element('li', '', element('span', 'role', roleOf(row, row.role)), client(row.addr, row.agent), element('span', 'clock'));
}

function updateClient(made, row) {
	if (row.more) {
		write(made, `and ${count(row.more)} more`);
	} else {
		write(made.lastChild, clock(since(row.arrived_at)));
	}
}

// The topics, by name.

function showTopics() {
	const rows = (view.topics ?? []).slice(0, most.channels);
	$('topics').hidden = $('topics-title').hidden = rows.length === 0;
	keep($('topics'), rows, row => `${row.namespace}/${row.topic}`, createTopic, updateTopic);
	const more = rows.length ? view.topics.length + view.topics_omitted - rows.length : 0;
	write($('topics-note'), more > 0 ? `${count(more)} more topics.` : '');
}

const createTopic = row => element('li', '', name({namespace: row.namespace, channel: row.topic}), element('span', 'roles'), element('span', 'clock'));

function updateTopic(made, row) {
	const [, roles, age] = made.children;
	const some = (n, one) => n ? [`${count(n)} ${one}${n === 1 ? '' : 's'}`] : [];
	write(roles, [...some(row.subscribers, 'subscriber'), ...some(row.sending, 'message').map(text => `sending ${text}`), ...some(row.waiting, 'publisher')].join(', '));
	write(age, row.sending ? clock(since(row.sending_since)) : '');
}
