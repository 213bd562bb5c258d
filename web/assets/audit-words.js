// What the words of the log mean.

// outcomes is what can have become of an exchange, and of a request that was never matched.
export const outcomes = {
	exchanges: {
		delivered: 'Every byte was written to the consumer\'s connection, and the producer was told so.',
		open: 'It runs, or has not been put down as ended yet.',
		consumer_left: 'The consumer hung up before the last byte.',
		producer_left: 'The producer hung up before its body\'s end, or the body is malformed.',
		stalled: 'The consumer stopped reading before the last byte.',
		silent: 'The producer sent nothing for too long.',
		too_large: 'The body is larger than this server takes.',
		deleted: 'Somebody deleted the channel.',
		shut_down: 'The server was stopping.',
		unrecorded: 'All bytes went, but the record could not be committed in time, and the producer was not told that they had.',
		interrupted: 'The server\'s process died while it ran.',
	},
	requests: {
		left: 'The client hung up while it waited.',
		timed_out: 'It waited longer than it wanted to.',
		refused: 'It was turned away by a limit, or for want of permission.',
		deleted: 'Somebody deleted the channel.',
		silent: 'The producer sent nothing for too long while a consumer was there.',
		too_large: 'The body is larger than this server takes.',
		producer_left: 'The producer\'s body is malformed.',
		shut_down: 'The server was stopping.',
	},
};

// weight sorts outcomes into those that are as they should be, those that somebody chose, and those that are not:
// the classes that colour them.
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
	case 'unrecorded':
	case 'interrupted':
	case 'refused':
		return 'worst';
	default:
		return 'bad';
	}
}

// columns are the names of the log's columns, for the details of an exchange.
export const columns = {
	id: 'Exchange',
	outcome: 'Outcome',
	bytes: 'Bytes',
	content_type: 'Type',
	matched_at: 'Began',
	ended_at: 'Ended',
	duration_ms: 'Took',
	producer_wait_ms: 'Producer had waited',
	producer_addr: 'Producer\'s address',
	producer_agent: 'Producer\'s agent',
	producer_subject: 'Producer\'s token',
	producer_request_id: 'Producer\'s request id',
	consumer_wait_ms: 'Consumer had waited',
	consumer_addr: 'Consumer\'s address',
	consumer_agent: 'Consumer\'s agent',
	consumer_subject: 'Consumer\'s token',
	consumer_request_id: 'Consumer\'s request id',
	life: 'Life of the channel',
};
