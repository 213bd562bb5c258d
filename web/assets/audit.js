// The operator's page: what its parts do when they are used, and the address, which holds what is asked for, so
// that a view can be shared. What happens now is in audit-live.js, what happened in audit-history.js and
// audit-summary.js.

import {ask, askCSV, Failure, keepToken} from './audit-data.js';
import {detail, list, renew} from './audit-history.js';
import {kinds} from './audit-kinds.js';
import {watch} from './audit-live.js';
import {fit, widen} from './audit-range.js';
import {write} from './audit-rows.js';
import {summarize} from './audit-summary.js';
import {outcomes} from './audit-words.js';
import {isToken} from './token.js';

const $ = id => document.getElementById(id);
const form = $('filter');

// The defaults of what is asked. The address has, after its #, the values that differ.
const usual = {show: 'exchanges', namespace: '', channel: '', outcome: '', last: '', from: '', to: '', cursor: '', id: ''};

let asked = {...usual};

let fitting = ''; // the time that is shown unless another is asked for; it fits the log

// address returns the address of what is asked, with some of it changed.
function address(changes) {
	const wanted = Object.entries({...asked, id: '', ...changes}).filter(([name, value]) => value !== usual[name]);
	return `#${new URLSearchParams(wanted)}`;
}

// narrowed is address, for a list that starts at its first page.
const narrowed = changes => address({cursor: '', ...changes});

// go changes the address, and with it the view.
function go(to) {
	if (location.hash === to || !location.hash && to === '#') {
		read();
	} else {
		location.hash = to;
	}
}

// filter returns the parameters for the server. One name of the address has the name of a channel, a service or a topic.
function filter() {
	const {show, namespace, channel, outcome} = asked;
	return {namespace, [kinds[show].named]: channel, outcome, ...time()};
}

const time = () => asked.last === 'span' ? {from: asked.from, to: asked.to} : {from: asked.last || fitting};

// read shows what the address asks for.
function read() {
	const wanted = new URLSearchParams(location.hash.slice(1));
	asked = Object.fromEntries(Object.entries(usual).map(([name, value]) => [name, wanted.get(name) ?? value]));
	if (!Object.hasOwn(outcomes, asked.show)) {
		asked.show = usual.show;
	}
	if (location.search) {
		history.replaceState(history.state, '', location.pathname + location.hash); // a query has no meaning here, and may be a token
	}
	if (wanted.has('token')) {
		const brought = wanted.get('token').replaceAll(' ', '+'); // a + in a secret does not stand for a space
		wanted.delete('token');
		history.replaceState(history.state, '', `${location.pathname}#${wanted}`); // before the user copies the address
		if (isToken(brought)) {
			use(brought);
		}
	}
	fill();
	if (listed !== address({})) {
		load();
	}
	opening.abort();
	if (asked.id) {
		open();
	} else {
		$('details').close();
	}
}

let listed = null; // the address of the list that is shown

// fill puts what is asked for into the form.
function fill() {
	const words = Object.entries(outcomes[asked.show]);
	form.elements.outcome.replaceChildren(new Option('any', ''), ...words.map(([word, means]) => {
		const option = new Option(word, word);
		option.title = means;
		return option;
	}));
	for (const name of ['namespace', 'channel', 'outcome']) {
		form.elements[name].value = asked[name];
	}
	write($('named'), {channel: 'Channel', service: 'Service', topic: 'Topic'}[kinds[asked.show].named]);
	form.elements.last.value = asked.last || fitting || '24h';
	for (const name of ['from', 'to']) {
		form.elements[name].value = local(asked[name]);
	}
	if (!form.elements.last.value) {
		form.elements.last.value = 'span';
	}
	showSpan();
	for (const link of document.querySelectorAll('[data-show]')) {
		link.href = narrowed({show: link.dataset.show, outcome: ''});
		link.ariaCurrent = link.dataset.show === asked.show ? 'page' : null;
	}
	$('everything').href = '#' + (asked.show === usual.show ? '' : `show=${asked.show}`);
}

function showSpan() {
	for (const label of form.querySelectorAll('.span')) {
		label.hidden = form.elements.last.value !== 'span';
	}
}

// local returns a time in the format of a field; universal, in that of the address and the server.
function local(text) {
	const at = new Date(text);
	return isNaN(at) ? '' : new Date(at - at.getTimezoneOffset() * 60_000).toISOString().slice(0, 19);
}

function universal(text) {
	const at = new Date(text);
	return isNaN(at) ? '' : at.toISOString();
}

// A new question cancels the requests of the one before.
let loading = new AbortController();

async function load() {
	loading.abort();
	loading = new AbortController();
	const {signal} = loading;
	listed = address({});
	$('older').disabled = true;
	$('newer').disabled = !asked.cursor;
	try {
		if (!asked.last && !fitting) {
			fitting = await fit({namespace: asked.namespace, channel: asked.channel}, signal);
			fill();
		}
	} catch (error) {
		failed(error, $('rows-note'), signal);
		return;
	}
	await Promise.all([
		sum(signal),
		list(asked.show, filter(), asked.cursor, links, signal).then(showOlder).catch(error => failed(error, $('rows-note'), signal)),
	]);
}

// sum counts what happened to all that has the names in the filter, and the exchanges of the outcome in it.
async function sum(signal) {
	summed = Date.now();
	const {show, namespace, channel, outcome} = asked;
	try {
		const oldest = await summarize({namespace, channel, outcome: show === 'exchanges' ? outcome : '', ...time()}, narrowed, signal);
		if (!asked.last && widen(fitting, oldest) !== fitting) { // the log has grown older
			fitting = widen(fitting, oldest);
			fill();
			await load();
		}
	} catch (error) {
		failed(error, $('plots-note'), signal);
	}
}

let summed = 0; // when sum was last called

// The rows link to records, and to all records of a name.
const links = {
	record: (show, id) => show === asked.show ? address({id}) : address({...usual, show, id}),
	named: ({namespace, channel}) => narrowed({namespace, channel}),
};

// While the newest page is visible, it is renewed, and the counts too, but less often, because they cost more.
const [renewal, recount] = [3000, 15_000];

async function follow() {
	const {signal} = loading;
	const newest = !asked.cursor && asked.last !== 'span';
	if (newest && !document.hidden && !$('list').hidden && !$('past').hidden && $('list').ariaBusy !== 'true') {
		try {
			const cursor = await renew(asked.show, filter(), links, signal);
			if (cursor !== null) {
				showOlder(cursor);
			}
			if (Date.now() - summed > recount) {
				await sum(signal);
			}
		} catch (error) {
			if (!(error instanceof Failure) && !signal.aborted) {
				throw error;
			} // the live view says that the server does not answer
		}
	}
	setTimeout(follow, renewal);
}

function showOlder(cursor) {
	$('older').disabled = !cursor;
	$('older').dataset.cursor = cursor;
}

// failed says why something is not shown.
function failed(error, note, signal) {
	if (signal.aborted) {
		return;
	}
	if (!(error instanceof Failure)) {
		throw error;
	}
	write(note, error.says);
	if (error.denied) {
		askForToken(error);
	} else if (error.status === 404 && note !== $('details-note')) {
		for (const part of [$('refresh'), form, $('plots'), $('list')]) {
			part.hidden = true;
		}
		$('no-log').hidden = false;
	}
}

// One record in full. Another one, or none, ends the wait for it.

let opening = new AbortController();

async function open() {
	const dialog = $('details');
	if (!dialog.open) {
		dialog.showModal();
	}
	$('details-title').focus(); // also if it comes from a link in the dialog
	opening = new AbortController();
	const {signal} = opening;
	try {
		await detail(asked.show, asked.id, links, signal);
	} catch (error) {
		failed(error, $('details-note'), signal);
	}
}

$('close').addEventListener('click', () => $('details').close());
$('details').addEventListener('close', () => {
	// The event comes a moment later, when the address may have changed. While a token is asked for, the address stays.
	if (asked.id && asked.id === new URLSearchParams(location.hash.slice(1)).get('id') && !$('past').hidden) {
		go(address({}));
	}
});
$('details').addEventListener('click', event => event.target === $('details') && $('details').close()); // beside it

// The token.

let given = () => {}; // called with a new token

// askForToken shows the form for a token: instead of everything else, unless the token opens a part of the page.
function askForToken(failure) {
	$('details').close();
	write($('access-why'), failure.says);
	$('now').hidden = $('past').hidden = failure.status === 401;
	if ($('access').hidden) {
		$('access').hidden = false;
		$('token').focus();
	}
}

$('access').querySelector('form').addEventListener('submit', event => {
	event.preventDefault();
	const typed = $('token').value.trim();
	if (!isToken(typed)) {
		write($('access-why'), 'A token contains only ASCII characters, and no spaces.');
		return;
	}
	$('token').value = '';
	use(typed);
	read();
});

// use keeps a token, and asks for everything anew with it.
function use(text) {
	keepToken(text);
	$('access').hidden = true;
	$('now').hidden = $('past').hidden = false;
	given();
	listed = null;
}

// The buttons.

form.addEventListener('submit', event => {
	event.preventDefault();
	const {namespace, channel, outcome, last, from, to} = form.elements;
	const between = last.value === 'span' ? {from: universal(from.value), to: universal(to.value)} : {from: '', to: ''};
	listed = null;
	go(narrowed({namespace: namespace.value.trim(), channel: channel.value.trim(), outcome: outcome.value,
		last: last.value === fitting ? '' : last.value, ...between}));
});
// The fields complete the names of the rows that are listed and, if the token allows to look, of the channels that exist.
async function offerNames() {
	const ofChannels = kinds[asked.show].named === 'channel';
	const state = ofChannels ? await ask('/state', {}, new AbortController().signal).catch(() => ({})) : {};
	const listed = [...$('rows').querySelectorAll('.name')].map(name => name.textContent.split('/'));
	const pairs = [...listed, ...Object.entries(state).flatMap(([namespace, channels]) => channels.map(channel => [namespace, channel]))];
	const within = form.elements.namespace.value.trim();
	offer($('namespaces'), pairs.map(([namespace]) => namespace));
	offer($('channels'), pairs.filter(([namespace]) => !within || namespace === within).map(([, channel]) => channel));
}

const mostOffered = 500;

function offer(list, names) {
	list.replaceChildren(...[...new Set(names)].sort().slice(0, mostOffered).map(name => new Option(name, name)));
}

form.addEventListener('focusin', event => event.target.list && offerNames());
form.elements.last.addEventListener('change', showSpan);
$('refresh').addEventListener('click', load);
// All rows, not only those of this page: browsers keep large files on their disk.
$('csv').addEventListener('click', async () => {
	const {signal} = loading;
	try {
		const link = document.createElement('a');
		link.href = URL.createObjectURL(await askCSV(`/audit/${asked.show}`, filter(), signal));
		link.download = `${asked.show}.csv`;
		link.click();
		setTimeout(() => URL.revokeObjectURL(link.href), 60_000); // when it has been saved
	} catch (error) {
		failed(error, $('rows-note'), signal);
	}
});

// A cursor leads to older rows only. The state of the address keeps the cursors of the pages before.
$('older').addEventListener('click', event => {
	const trail = [...history.state?.trail ?? [], asked.cursor];
	history.pushState({trail}, '', address({cursor: event.target.dataset.cursor}));
	read();
	$('list').scrollIntoView();
});
$('newer').addEventListener('click', () => {
	const trail = history.state?.trail ?? [];
	history.pushState({trail: trail.slice(0, -1)}, '', address({cursor: trail.at(-1) ?? ''}));
	read();
	$('list').scrollIntoView();
});
addEventListener('hashchange', read);

read();
setTimeout(follow, renewal);
watch(failure => new Promise(resolve => {
	given = resolve;
	askForToken(failure);
}));
