// Plots over time, as SVG. Each has bars, which stand on one another, or lines.

import {day, minute} from './audit-rows.js';

const [left, right, top, bottom] = [64, 8, 8, 22]; // margins
const height = 150;

function svg(name, attributes, ...content) {
	const made = document.createElementNS('http://www.w3.org/2000/svg', name);
	for (const [key, value] of Object.entries(attributes)) {
		made.setAttribute(key, value);
	}
	made.append(...content);
	return made;
}

// plot draws into an element of the page. A bucket has at (ms), bars [{className, value}] or lines [value or null],
// says (its text) and href (its link). lines are the classes of the lines; scale is linear or logarithmic; unit
// formats a value.
export function plot(into, {label, from, to, step, buckets, lines = [], scale, unit}) {
	const width = Math.max(into.clientWidth, 240);
	const values = buckets.flatMap(bucket => lines.length ? bucket.lines : [bucket.bars.reduce((sum, bar) => sum + bar.value, 0)]);
	const {y, ticks} = scale(Math.max(0, ...values), height - top - bottom);
	const x = at => left + (at - from) / (to - from || 1) * (width - left - right);
	const wide = Math.max(x(from + step) - x(from), 1);
	const base = height - bottom;
	const picture = svg('svg', {viewBox: `0 0 ${width} ${height}`, width, height, role: 'group', 'aria-label': label});

	for (const tick of ticks) {
		const at = base - y(tick);
		picture.append(
			svg('line', {class: tick ? '' : 'axis', x1: left, x2: width - right, y1: at, y2: at}),
			svg('text', {x: left - 8, y: at + 4, 'text-anchor': 'end'}, tick ? unit(tick) : '0'));
	}
	for (const {at, text} of times(from, to, Math.max(2, Math.floor((width - left) / 80)))) {
		picture.append(
			svg('line', {class: 'axis', x1: x(at), x2: x(at), y1: base, y2: base + 4}),
			svg('text', {x: Math.min(Math.max(x(at), left + 14), width - right - 16), y: height - 4, 'text-anchor': 'middle'}, text));
	}
	// The first and the last bucket may be partial, and are clipped.
	const begin = bucket => Math.max(x(bucket.at), left);
	const end = bucket => Math.max(Math.min(x(bucket.at) + wide, width - right), begin(bucket) + 1);
	for (const bucket of buckets) {
		let under = base;
		for (const {className, value} of bucket.bars ?? []) {
			const high = value ? Math.max(y(value), 1.5) : 0; // a small value is visible, too
			under -= high;
			const gap = wide > 4 ? 1 : 0;
			picture.append(svg('rect', {class: className, x: begin(bucket) + gap / 2, width: Math.max(end(bucket) - begin(bucket) - gap, 1), y: under, height: high}));
		}
	}
	const middle = bucket => (begin(bucket) + end(bucket)) / 2;
	lines.forEach((className, i) => {
		picture.append(svg('path', {class: `line ${className}`, d: path(buckets, i, step, middle, value => base - y(value))}));
		for (const bucket of lone(buckets, i, step)) {
			picture.append(svg('circle', {class: `dot ${className}`, cx: middle(bucket), cy: base - y(bucket.lines[i]), r: 3}));
		}
	});
	for (const bucket of buckets) {
		// The table has the same for users without a pointer.
		picture.append(svg('a', {href: bucket.href, tabindex: -1, 'aria-label': bucket.says},
			svg('rect', {class: 'touch', x: begin(bucket), width: end(bucket) - begin(bucket), y: top, height: base - top}, svg('title', {}, bucket.says))));
	}
	into.replaceChildren(picture);
}

// near says whether two buckets follow one another.
const near = (one, next, step) => one && next && next.at - one.at <= step * 1.5;

// lone returns the buckets whose value has no neighbour, so that no line shows it.
function lone(buckets, i, step) {
	const some = buckets.filter(bucket => bucket.lines[i] !== null);
	return some.filter((bucket, n) => !near(some[n - 1], bucket, step) && !near(bucket, some[n + 1], step));
}

// path joins the values of neighbours.
function path(buckets, i, step, x, y) {
	let drawn = '';
	let last = null;
	for (const bucket of buckets) {
		const value = bucket.lines[i];
		if (value === null) {
			last = null;
			continue;
		}
		drawn += `${near(last, bucket, step) ? 'L' : 'M'}${x(bucket).toFixed(1)} ${y(value).toFixed(1)}`;
		last = bucket;
	}
	return drawn;
}

// linear scales from 0 to a round number. Its marks are whole numbers, for counts.
export function linear(most, length) {
	const power = 10 ** Math.floor(Math.log10(most || 1));
	const half = [0.5, 1, 1.5, 2, 2.5, 3, 4, 5].map(n => n * power).find(n => Number.isInteger(n) && 2 * n >= most);
	return {y: value => value / (2 * half) * length, ticks: [0, half, 2 * half]};
}

// logarithmic scales milliseconds: each factor of ten gets about the same height.
export function logarithmic(most, length) {
	const marks = [10, 100, 1000, 10_000, 60_000, 600_000, 3_600_000, 21_600_000, 86_400_000];
	const end = marks.find(mark => mark >= most) ?? most;
	const height = value => Math.log10(1 + value / 2);
	const shown = marks.filter(mark => mark <= end);
	const every = Math.ceil(shown.length / 4);
	return {
		y: value => height(value) / height(end) * length,
		ticks: [0, ...shown.filter((_, i) => (shown.length - 1 - i) % every === 0)],
	};
}

const minutes = 60_000;
const steps = [1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720, 1440, 2880, 7 * 1440, 14 * 1440, 30 * 1440, 90 * 1440, 365 * 1440].map(n => n * minutes);

// times returns about as many round times as there is room for.
function times(from, to, room) {
	const step = steps.find(step => (to - from) / step <= room) ?? (to - from) / room;
	const shift = new Date(from).getTimezoneOffset() * minutes;
	const found = [];
	for (let at = Math.ceil((from - shift) / step) * step + shift; at <= to; at += step) {
		const date = new Date(at);
		found.push({at, text: step >= 1440 * minutes || minute(date) === '00:00' ? day(date).slice(5) : minute(date)});
	}
	return found;
}
