// What happened, counted: the totals, the plots, and the same as a table.

import {ask} from './audit-data.js';
import {linear, logarithmic, plot} from './audit-plots.js';
import {badge, count, element, moment, span, time, write} from './audit-rows.js';
import {outcomes, weight} from './audit-words.js';
import {size} from './words.js';

const $ = id => document.getElementById(id);

const weights = ['good', 'running', 'mild', 'early', 'bad', 'worst']; // from the bottom up

let drawn = () => {}; // draws the newest summary

// summarize counts what the filter asks for: first for a moment, which is usually enough, and then for longer. It returns the
// time of the oldest record in the log. narrowed returns the address of the same for one outcome, or for a time.
export async function summarize(filter, narrowed, signal) {
	$('plots').ariaBusy = true;
	let oldest = null;
	try {
		for (const within of ['', '3s']) {
			const summary = await ask('/audit/summary', {...filter, within}, signal);
			if (signal.aborted) {
				return oldest;
			}
			oldest = summary.oldest;
			showTotals(summary.total, narrowed);
			drawn = () => draw(summary, narrowed);
			drawn();
			fillTable(summary.buckets);
			if (summary.complete) {
				write($('plots-note'), '');
				return oldest;
			}
			write($('plots-note'), `There is too much to count at once. The counts begin at ${moment(new Date(summary.since))}. ` +
				(within ? 'Choose a shorter time, or a channel.' : 'Still counting …'));
		}
		return oldest;
	} finally {
		$('plots').ariaBusy = signal.aborted;
	}
}

// The plots are drawn again when their width changes.
new ResizeObserver(() => drawn()).observe($('plots'));

function showTotals(total, narrowed) {
	$('totals').replaceChildren(
		element('strong', '', count(total.exchanges)), ` exchange${total.exchanges === 1 ? '' : 's'}, `,
		element('strong', '', size(total.bytes)),
		...total.exchanges ? [`; median wait: producers ${span(total.producer_wait_ms.median)}, consumers ${span(total.consumer_wait_ms.median)}`] : []);
	$('outcomes').replaceChildren(...byOutcome('exchanges', total.outcomes, narrowed));
	const unmatched = sum(total.unmatched);
	$('unmatched').replaceChildren(...unmatched ? [`${count(unmatched)} unmatched request${unmatched === 1 ? '' : 's'}: `, ...byOutcome('requests', total.unmatched, narrowed)] : []);
	const published = element('a', '', `${count(total.publications)} publication${total.publications === 1 ? '' : 's'}`);
	published.href = narrowed({show: 'publications', outcome: ''});
	$('published').replaceChildren(...total.publications ? [published, `delivered ${count(total.deliveries)} time${total.deliveries === 1 ? '' : 's'}`] : []);
}

const sum = counts => Object.values(counts).reduce((sum, n) => sum + n, 0);

// byOutcome returns a link for each outcome that occurs.
function byOutcome(show, counts, narrowed) {
	return Object.keys(outcomes[show]).filter(outcome => counts[outcome]).map(outcome => {
		const link = element('a', '', badge(outcome, show), ` ${count(counts[outcome])}`);
		link.href = narrowed({show, outcome});
		return link;
	});
}

function draw(summary, narrowed) {
	const [from, to] = [Date.parse(summary.from), Date.parse(summary.to)];
	const step = summary.step_s * 1000;
	const common = {from, to, step};
	const buckets = make => summary.buckets.map(bucket => {
		const at = Date.parse(bucket.from);
		const href = narrowed({last: 'span', from: bucket.from, to: new Date(at + step).toISOString()});
		const {says, ...rest} = make(bucket);
		return {at, href, says: `${moment(new Date(at))} and ${span(step)}:\n${says}`, ...rest};
	});
	const into = name => document.querySelector(`[data-plot="${name}"]`);
	plot(into('exchanges'), {...common, label: 'Exchanges by outcome, and unmatched requests, over time', scale: linear, unit: short, buckets: buckets(bucket => ({
		bars: [
			...weights.map(className => ({className, value: Object.entries(bucket.outcomes).reduce((sum, [outcome, n]) => sum + (weight(outcome) === className ? n : 0), 0)})),
			{className: 'unmatched', value: sum(bucket.unmatched)},
		],
		says: [
			...Object.entries(bucket.outcomes).map(([outcome, n]) => `${count(n)} ${outcome}`),
			...Object.entries(bucket.unmatched).map(([outcome, n]) => `${count(n)} unmatched, ${outcome}`),
		].join('\n') || 'nothing',
	}))});
	plot(into('bytes'), {...common, label: 'Bytes over time', scale: linear, unit: size, buckets: buckets(bucket => ({
		bars: [{className: 'good', value: bucket.bytes}], says: size(bucket.bytes),
	}))});
	for (const [name, column] of [['producers', 'producer_wait_ms'], ['consumers', 'consumer_wait_ms']]) {
		plot(into(name), {...common, label: `Wait of the ${name}, over time`, scale: logarithmic, unit: span, lines: ['most', 'median'], buckets: buckets(bucket => ({
			lines: bucket.exchanges ? [bucket[column].p95, bucket[column].median] : [null, null],
			says: `median ${span(bucket[column].median)}\np95 ${span(bucket[column].p95)}`,
		}))});
	}
}

// short writes large numbers so that they fit beside a plot.
const short = n => n.toLocaleString('en', {notation: 'compact'});

function fillTable(buckets) {
	$('figures').querySelector('tbody').replaceChildren(...buckets.toReversed().map(bucket => {
		const {exchanges, bytes, outcomes: by, unmatched, producer_wait_ms: producers, consumer_wait_ms: consumers} = bucket;
		const texts = [count(exchanges), count(exchanges - (by.delivered ?? 0)), count(sum(unmatched)), size(bytes), span(producers.median), span(producers.p95), span(consumers.median), span(consumers.p95)];
		return element('tr', '', element('td', '', time(bucket.from)), ...texts.map(text => element('td', '', text)));
	}));
}
