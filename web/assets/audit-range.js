// The period that the page shows unless the user chooses another: the age of the log, but at most a day, unless nothing
// happened in that day.

import {ask} from './audit-data.js';

const minute = 60_000;
const ranges = [['15m', 15 * minute], ['1h', 60 * minute], ['6h', 360 * minute], ['24h', 1440 * minute]];
const longer = ['7d', '30d', '365d'];
const day = '24h';

// fit returns the period to show of the records with these names. The server says how old the log is only to a token that may
// read all of it.
export async function fit(names, signal) {
	let known = null;
	for (const range of [day, ...longer]) {
		const {oldest, complete, total} = await ask('/audit/summary', {...names, from: range}, signal);
		if (!complete || total.exchanges || total.publications || Object.keys(total.unmatched).length) {
			return range === day && oldest ? widen('', oldest) : range;
		}
		known = oldest;
	}
	return known ? day : widen('', null); // an empty log is young
}

// widen returns the range, or a longer one if the log has become older than that.
export function widen(range, oldest) {
	const known = ranges.findIndex(([name]) => name === range);
	if (range && known < 0) {
		return range;
	}
	const age = oldest ? Date.now() - Date.parse(oldest) : 0;
	const wanted = ranges.findIndex(([, length]) => age <= length);
	return ranges[Math.max(known, wanted < 0 ? ranges.length - 1 : wanted)][0];
}
