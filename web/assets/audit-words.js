// The meaning of the words in the audit log.

// Outcomes that an exchange and a request that was never matched can both have.
const both = {
	silent: 'The producer sent nothing for too long while a consumer was there.',
	too_large: 'The body is larger than this server accepts.',
	deleted: 'The channel was deleted.',
	shut_down: 'The server was stopping.',
};

// outcomes explains the outcomes of exchanges, and of requests that were never matched.
export const outcomes = {
	exchanges: {
		delivered: 'Every byte was written to the consumer\'s connection, and the producer was told so.',
		open: 'The exchange is running, or its end is not recorded yet.',
		consumer_left: 'The consumer hung up before the last byte.',
		producer_left: 'The producer hung up before the end of its body, or the body is malformed.',
		stalled: 'The consumer stopped reading before the last byte.',
		silent: both.silent,
		too_large: both.too_large,
		deleted: both.deleted,
		shut_down: both.shut_down,
		unrecorded: 'All bytes were written, but the record could not be committed in time, and the producer got an error.',
		interrupted: 'The server\'s process died during the exchange.',
	},
	requests: {
		left: 'The client hung up while it waited.',
		timed_out: 'No partner came before its wait was over.',
		refused: 'A limit was reached, or the client lacked permission.',
		deleted: both.deleted,
		silent: both.silent,
		too_large: both.too_large,
		producer_left: 'The producer\'s body is malformed.',
		shut_down: both.shut_down,
	},
};

// weight returns the CSS class that colours an outcome: a success, running, the choice of a client, a
// producer that left, another failure, or a serious one.
export function weight(outcome) {
	switch (outcome) {
	case 'delivered':
		return 'good';
	case 'open':
		return 'running';
	case 'left':
	case 'timed_out':
	case 'deleted':
	case 'shut_down':
		return 'mild';
	case 'producer_left':
		return 'early';
	case 'unrecorded':
	case 'interrupted':
	case 'refused':
		return 'worst';
	default:
		return 'bad';
	}
}

// columns are the titles of the log's columns in the details of an exchange.
export const columns = {
	id: 'Exchange',
	outcome: 'Outcome',
	bytes: 'Bytes',
	content_type: 'Type',
	matched_at: 'Began',
	ended_at: 'Ended',
	duration_ms: 'Took',
	producer_wait_ms: 'Wait of the producer',
	producer_addr: 'Producer\'s address',
	producer_agent: 'Producer\'s agent',
	producer_subject: 'Producer\'s token',
	producer_request_id: 'Producer\'s request id',
	consumer_wait_ms: 'Wait of the consumer',
	consumer_addr: 'Consumer\'s address',
	consumer_agent: 'Consumer\'s agent',
	consumer_subject: 'Consumer\'s token',
	consumer_request_id: 'Consumer\'s request id',
	life: 'Life of the channel',
	node: 'Node',
};
