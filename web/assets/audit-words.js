// The meaning of the words in the audit log.

// Texts of outcomes that several kinds of records have.
const common = {
	silent: 'The producer sent nothing for too long while a consumer was there.',
	too_large: 'The body is larger than this server accepts.',
	deleted: 'The channel was deleted.',
	shut_down: 'The server was stopping.',
	moved: 'The server was stopping, or another node began to serve the name.', // shut_down of a client that waits
};

// outcomes explains the outcomes of each kind of records.
export const outcomes = {
	exchanges: {
		delivered: 'Every byte was written to the consumer\'s connection, and the producer was told so.',
		open: 'The exchange is running, or its end is not recorded yet.',
		consumer_left: 'The consumer hung up before the last byte.',
		producer_left: 'The producer hung up before the end of its body, or the body is malformed.',
		stalled: 'The consumer stopped reading before the last byte.',
		silent: common.silent,
		too_large: common.too_large,
		deleted: common.deleted,
		shut_down: common.shut_down,
		unrecorded: 'All bytes were written, but the record could not be committed in time, and the producer got an error.',
		interrupted: 'The server\'s process died during the exchange.',
	},
	calls: {
		answered: 'The caller got the whole answer of a worker.',
		open: 'The call is running, or its end is not recorded yet.',
		unanswered: 'A worker took the request, but no answer began in time.',
		left: 'The caller hung up.',
		consumer_left: 'The worker hung up before it had the whole request.',
		producer_left: 'The worker hung up during its answer, or the caller during its request.',
		stalled: 'One side stopped reading.',
		silent: 'One side sent nothing for too long.',
		too_large: common.too_large,
		deleted: 'The service was deleted.',
		shut_down: common.shut_down,
		unrecorded: 'All bytes were written, but the record could not be committed in time.',
		interrupted: 'The server\'s process died during the call.',
	},
	publications: {
		published: 'Every subscriber has taken the message, has been cut off, or has left.',
		open: 'The message is being sent, or its end is not recorded yet.',
		unrecorded: 'The record could not be committed in time, and the publisher got an error.',
		interrupted: 'The server\'s process died while the message was sent.',
	},
	subscriptions: {
		delivered: 'The subscription was for one message, and got it.',
		open: 'The client is subscribed, or its end is not recorded yet.',
		left: 'The client hung up.',
		stalled: 'The client stopped reading, and was cut off.',
		deleted: 'The topic was deleted.',
		shut_down: common.moved,
		timed_out: 'No message came before the wait was over.',
		interrupted: 'The server\'s process died.',
	},
	requests: {
		left: 'The client hung up while it waited.',
		timed_out: 'No partner came before its wait was over.',
		refused: 'A limit was reached, the client lacked permission, or another node serves the name.',
		deleted: common.deleted,
		silent: common.silent,
		too_large: common.too_large,
		producer_left: 'The producer\'s body is malformed.',
		shut_down: common.moved,
	},
};

// weight returns the CSS class that colours an outcome: a success, running, the choice of a client, a
// producer that left, another failure, or a serious one.
export function weight(outcome) {
	switch (outcome) {
	case 'delivered':
	case 'answered':
	case 'published':
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

// columns are the titles of the log's columns in the details of a record, in their order. The names of channels, services and
// topics are shown apart.
export const columns = {
	id: 'Id',
	outcome: 'Outcome',
	count: 'Requests',
	reason: 'Reason',
	role: 'Role',
	method: 'Method',
	status: 'Status',
	bytes: 'Bytes',
	messages: 'Messages',
	subscribers: 'Subscribers',
	delivered: 'Delivered',
	content_type: 'Type',
	reply_to: 'Answers the call',
	called_at: 'Called',
	taken_at: 'Taken by the worker',
	answered_at: 'Answer began',
	published_at: 'Published',
	subscribed_at: 'Subscribed',
	arrived_at: 'Arrived',
	matched_at: 'Began',
	ended_at: 'Ended',
	duration_ms: 'Took',
	wait_ms: 'Waited',
	first: 'First message',
	last: 'Last message',
	caller_addr: 'Caller\'s address',
	worker_addr: 'Worker\'s address',
	addr: 'Address',
	agent: 'Agent',
	subject: 'Token',
	request_id: 'Request id',
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
