// The page: what its parts do when they are used. Transfers are in transfer.js, the texts about them in words.js.

import {copy} from './clipboard.js';
import {printing, publishing, saving, sending} from './curl.js';
import {onFiles} from './drop.js';
import {End} from './end.js';
import {add, Feed} from './feed.js';
import {channelIn, disposition, fault, harmless, isName, randomName, usualNamespace} from './names.js';
import {Pace} from './pace.js';
import {Presence} from './presence.js';
import {offer} from './share.js';
import {isToken} from './token.js';
import {receive, send} from './transfer.js';
import {received, sent, size} from './words.js';

const $ = id => document.getElementById(id);

// The channel. The address has it after the #, so that it can be shared; browsers do not send that part.

const fields = [$('namespace'), $('name')];

// wanted returns the channel in the fields, or null if it cannot be one.
function wanted() {
	const [namespace, name] = fields.map(field => field.value);
	return isName(namespace) && isName(name) ? {namespace, name} : null;
}

const urlOf = ({namespace, name}) => `${location.origin}/channels/${namespace}/${name}`;
const topicOf = ({namespace, name}) => `${location.origin}/topics/${namespace}/${name}`;

function setChannel({namespace, name}, hint = '') {
	[fields[0].value, fields[1].value] = [namespace, name];
	noteChannel(hint);
	keepChannel();
}

// noteChannel is called with every letter that is typed.
function noteChannel(hint = '') {
	const channel = wanted();
	for (const field of fields) {
		field.setAttribute('aria-invalid', !isName(field.value));
		field.size = Math.max(field.value.length, 2);
	}
	$('channel').classList.toggle('wrong', !channel);
	$('channel-hint').textContent = channel
		? hint || 'Anyone who knows this name can receive.'
		: fault(fields.map(field => field.value).find(text => !isName(text)));
	showCommands();
}

// keepChannel is called when the name has been typed. It makes the address one to share: with the channel, and without
// anything else that may have been there, such as a token.
function keepChannel() {
	const channel = wanted();
	if (channel) {
		history.replaceState(null, '', `/#${channel.namespace}/${channel.name}`);
	}
	offer(channel ? location.href : '');
	presence.again();
}

// readAddress takes the channel from the address, or makes a new one.
function readAddress() {
	if (busy()) {
		keepChannel(); // a running transfer keeps its channel
		return;
	}
	const random = {namespace: usualNamespace, name: randomName()};
	if (location.hash.length < 2) {
		setChannel(random);
		return;
	}
	const channel = channelIn(location.hash);
	if (channel.wrong) {
		setChannel(random, `This is a new channel, because the link had no valid one. ${channel.wrong}`);
	} else {
		setChannel(channel);
	}
}

const sender = new End($('send'), sendMessage, fixChannel);
const receiver = new End($('receive'), receiveMessage, fixChannel);
const feed = new Feed($('topic'), topicToUse, fixChannel);
const busy = () => sender.busy || receiver.busy || feed.busy;

// fixChannel locks the channel while a transfer runs on it.
function fixChannel() {
	for (const field of fields) {
		field.readOnly = busy();
	}
	$('new-name').disabled = busy();
	presence.again();
}

const presence = new Presence(() => {
	const [channel, token] = [wanted(), tokenTyped()];
	return channel && token !== null ? {channel: urlOf(channel), topic: topicOf(channel), token} : null;
}, showPresence);

// showPresence shows how many clients wait at the other end of the channel, and how many listen to the topic. While this page
// sends or receives, it shows none for the channel, because the counts include the page.
function showPresence(seen) {
	const tell = (end, n, one, more) => {
		const there = $(end).querySelector('.there');
		const text = n > 0 ? `${n} ${n === 1 ? one : more}` : '';
		if (there.textContent !== text) {
			there.textContent = text;
		}
	};
	const idle = !sender.busy && !receiver.busy;
	tell('send', idle ? seen?.receivers : 0, 'receiver is waiting', 'receivers are waiting');
	tell('receive', idle ? seen?.senders : 0, 'sender is waiting', 'senders are waiting');
	tell('topic', feed.busy ? seen?.listeners - 1 : seen?.listeners, feed.busy ? 'other listens' : 'listens', feed.busy ? 'others listen' : 'listen');
}

// conclude reports how a transfer ended, and asks for a token if it ended for the lack of one.
function conclude(end, ending, told) {
	end.conclude(ending, told);
	if (ending.code === 'unauthorized' || ending.code === 'forbidden') {
		$('access').open = true;
		$('token').focus();
	}
}

// start returns what a transfer needs. If something is missing, it says so and returns null.
function start(end) {
	const channel = wanted();
	const token = tokenTyped();
	if (!channel) {
		end.refuse('Not started', 'A channel cannot have this name.', fields.find(field => !isName(field.value)));
		return null;
	}
	if (token === null) {
		end.refuse('Not started', 'A token contains only ASCII characters, and no spaces.', $('token'));
		return null;
	}
	keepChannel();
	return {url: urlOf(channel), token, name: channel.name};
}

// topicToUse returns the topic of the chosen name, or null after it has said what is missing.
function topicToUse() {
	const channel = wanted();
	const token = tokenTyped();
	if (!channel || token === null) {
		feed.tell('bad', channel ? 'A token contains only ASCII characters, and no spaces.' : 'A topic cannot have this name.');
		return null;
	}
	keepChannel();
	return {url: topicOf(channel), token, name: channel.name};
}

// tokenTyped returns the token, or null if no header can hold it. The token is kept only in its field.
function tokenTyped() {
	const token = $('token').value.trim();
	return token === '' || isToken(token) ? token : null;
}

// Sending.

const chosen = () => [...$('file').files];

async function sendMessage() {
	const target = start(sender);
	if (!target) {
		return;
	}
	const files = chosen();
	const text = $('text').value;
	if (files.length === 0 && !text) {
		sender.refuse('Nothing to send', 'Write something, or choose a file.', $('text'));
		return;
	}
	const messages = files.length > 0
		? files.map(file => ({blob: file, type: file.type || 'application/octet-stream', disposition: disposition(file.name)}))
		: [{blob: new Blob([text]), type: 'text/plain; charset=utf-8'}];
	let done = 0; // messages that were delivered; the next one is on its way
	let left = 0; // bytes of that one
	let pace = new Pace();
	const total = () => messages[done].blob.size;
	const tell = () => {
		const which = messages.length > 1 ? ` ${done + 1} of ${messages.length}` : '';
		sender.measure(left, total());
		if (left === total()) {
			sender.say('waiting', `Waiting for the other side${which && `: file${which}`}`,
				`All of it (${size(left)}) has left this browser. It is not delivered until the receiver has it.`);
			return;
		}
		const moving = pace.moving(2000);
		sender.say(moving ? 'moving' : 'waiting', moving ? `Sending${which}` : `Waiting for the other side${which && `: file${which}`}`,
			`${size(left)} of ${size(total())} have left this browser${moving ? pace.say(total()) : ''}.`);
	};
	const ending = await sender.run(async signal => {
		for (;;) {
			const ending = await send(target.url, {...messages[done], token: target.token}, signal, bytes => {
				pace.note(left = bytes);
				tell();
			});
			if (ending.kind !== 'delivered' || done + 1 === messages.length) {
				return ending;
			}
			done++;
			left = 0;
			pace = new Pace();
			tell();
		}
	}, tell);
	const told = sent(ending, total());
	if (messages.length > 1) {
		told.detail += ending.kind === 'delivered' ? ` All ${messages.length} files were delivered.` : ` This is file ${done + 1} of ${messages.length}; ` +
			(done ? `the ${done === 1 ? 'one' : done} before it ${done === 1 ? 'was' : 'were'} delivered.` : 'none was delivered.');
	}
	conclude(sender, ending, told);
	if (ending.kind === 'delivered' && files.length === 0 && $('text').value === text) {
		$('text').value = ''; // so that a second click does not send it again
		showCommands();
	}
}

// showFile shows what is to be sent: files, if there are any, or else the text.
function showFile(hint) {
	const files = chosen();
	const some = files.length > 0;
	const all = size(files.reduce((sum, file) => sum + file.size, 0));
	$('text').disabled = some;
	$('no-file').hidden = !some;
	$('file-hint').textContent = hint ?? (files.length > 1 ? `${files.length} files, ${all}: ${files.map(file => file.name).join(', ')}`
		: some ? `${files[0].name}, ${all}` : matchMedia('(hover: hover)').matches ? 'or drop or paste some here' : '');
	$('file-hint').classList.toggle('chosen', some);
	showCommands();
}

$('file').addEventListener('change', () => showFile());
$('text').addEventListener('input', showCommands);
$('no-file').addEventListener('click', () => {
	$('file').value = '';
	showFile();
	$('file').focus();
});

$('text').addEventListener('keydown', event => {
	if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) {
		event.preventDefault();
		event.target.form.requestSubmit();
	}
});

// take chooses files that were dropped or pasted. While something is being sent, they are for the next time.
function take(files) {
	$('file').files = files;
	showFile();
}

onFiles($('send'), take);

// Receiving.

// receiveMessage receives one message, or one after the other for as long as the user wants to keep receiving.
async function receiveMessage() {
	const target = start(receiver);
	if (!target) {
		return;
	}
	const box = receiver.report.querySelector('.message');
	box.hidden = true;
	let shown = null; // the message in the box, as it will be in the list
	const store = () => {
		if (shown !== null) {
			add($('received'), shown);
		}
		shown = null;
		box.hidden = true;
	};
	const message = await receiver.run(async signal => {
		for (;;) {
			const message = await receiveOne(target, signal);
			if (message.kind === 'whole') {
				store();
				URL.revokeObjectURL($('save').href);
				message.told = show(message, target.name);
				shown = message.text ?? `${$('save').download}, ${size(message.bytes)}`;
				box.hidden = false;
			}
			if (!$('keep').checked || message.kind !== 'whole' && message.code !== 'timed_out') {
				return message;
			}
		}
	}, () => tellReceiving());
	const told = received(message);
	if (message.kind === 'whole') {
		receiver.measure(1, 1);
		told.detail += message.told;
	} else {
		store();
	}
	conclude(receiver, message, told);
}

let tellReceiving = () => {};

// receiveOne receives a message, and reports how much of it has come.
function receiveOne(target, signal) {
	let bytes = 0;
	let total;
	const pace = new Pace();
	tellReceiving = () => {
		if (total === undefined) {
			receiver.measure(0, null);
			receiver.say('waiting', 'Waiting for a sender', 'As long as it takes.');
			return;
		}
		receiver.measure(bytes, total);
		receiver.say('moving', 'Receiving', total === null
			? `${size(bytes)} so far${pace.say(null)}; the sender has not said how large it is.`
			: `${size(bytes)} of ${size(total)}${pace.say(total)}.`);
	};
	tellReceiving();
	return receive(target.url, target, signal, (...numbers) => {
		[bytes, total] = numbers;
		pace.note(bytes);
		tellReceiving();
	});
}

// show shows a message as text, never as markup, or has it saved. It returns a sentence about what it did.
function show({blob, name, text}, channel) {
	const save = $('save');
	save.href = URL.createObjectURL(blob);
	save.download = name || (harmless(channel) || 'message') + (text === null ? '' : '.txt');
	save.textContent = text === null ? 'Save again' : 'Save';
	$('message').textContent = text ?? '';
	$('message').hidden = $('copy-message').hidden = !text;
	if (text !== null) {
		return '';
	}
	save.click();
	return ` This browser was asked to save it as ${save.download}.`;
}

// The same with curl.

function showCommands() {
	const channel = wanted() ?? {namespace: 'NAMESPACE', name: 'CHANNEL'};
	const url = urlOf(channel);
	const token = $('token').value.trim();
	showCommand('curl-send', sending(url, {text: $('text').value, file: chosen()[0]?.name, token}));
	showCommand('curl-print', printing(url, {token}));
	showCommand('curl-save', saving(url, {token}));
	showCommand('curl-publish', publishing(topicOf(channel), {token}));
}

// showCommand keeps the URL at the end of a command on one line, if a line is long enough.
function showCommand(id, command) {
	const at = command.lastIndexOf(' ') + 1;
	const url = document.createElement('span');
	url.textContent = command.slice(at);
	$(id).replaceChildren(command.slice(0, at), url);
}

for (const button of document.querySelectorAll('[data-copies]')) {
	button.addEventListener('click', () => copy(button, $(button.dataset.copies).textContent));
}
$('copy-message').addEventListener('click', event => copy(event.target, $('message').textContent));
$('new-name').addEventListener('click', () => setChannel({namespace: isName(fields[0].value) ? fields[0].value : usualNamespace, name: randomName()}));
for (const form of [$('channel'), $('access').querySelector('form')]) {
	form.addEventListener('submit', event => event.preventDefault());
}
$('token').addEventListener('input', showCommands);
$('token').addEventListener('change', () => presence.again());
for (const field of fields) {
	field.addEventListener('input', () => noteChannel());
	field.addEventListener('change', keepChannel);
}
addEventListener('hashchange', readAddress);

$('curl-manual').textContent = `curl ${location.origin}/`;
readAddress();
showFile();
