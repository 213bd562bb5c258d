// Floor is the cheapest relay that the benchmark can think of: one thread, epoll, no library, and none of httpipe's promises. It
// is what httpipe's costs are divided by.
//
// It understands the requests of the load generator and no others. A head must come in one read. It relays a body that came
// with its head by one write, any other by splice(2). It keeps no log, and acknowledges what it has written. Under
// /topics/ it writes a message to every subscriber, one write each.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PIECE = 1 << 20, BUCKETS = 1 << 16 };

// A connection waits, streams, or is between two requests.
struct conn {
	int fd;
	int produces;       // its request is a POST
	uint64_t channel;   // the hash of its path, while it waits
	struct conn **list; // where it waits or is subscribed, or NULL
	struct conn *next;  // in list
	char *body;         // what came of a producer's body while it waits
	long have, length;  // bytes in body, and of the whole body

	// While a body streams.
	struct conn *peer;
	int pipe[2];
	long unread, piped; // bytes to be read from the producer, and in the pipe
};

static int epoll;
static struct conn *waiting[BUCKETS], *subscribers;
static struct conn *ended; // to be freed when no event of the current turn can name them
static char buffer[64 << 10], answer[sizeof buffer + 256];

static const char acknowledged[] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
static const char subscribed[] = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";

static void fail(const char *what) {
	perror(what);
	exit(1);
}

static void watch(struct conn *c, int operation, uint32_t events) {
	struct epoll_event e = {.events = events, .data.ptr = c};
	if (epoll_ctl(epoll, operation, c->fd, &e) < 0)
		fail("epoll_ctl");
}

// enter appends c to a list, which it leaves when it is matched or closed.
static void enter(struct conn **list, struct conn *c) {
	c->list = list;
	c->next = NULL;
	while (*list)
		list = &(*list)->next;
	*list = c;
}

static void leave(struct conn *c) {
	struct conn **at = c->list;
	while (*at != c)
		at = &(*at)->next;
	*at = c->next;
	c->list = NULL;
	free(c->body);
	c->body = NULL;
}

static void end(struct conn *c) {
	if (c->list)
		leave(c);
	close(c->fd);
	c->fd = -1;
	c->next = ended;
	ended = c;
}

// send_all writes what always fits the socket's buffer. If it does not, the next event on the connection ends it.
static void send_all(struct conn *c, const char *bytes, size_t size) {
	if (send(c->fd, bytes, size, MSG_NOSIGNAL | MSG_DONTWAIT) != (ssize_t)size)
		shutdown(c->fd, SHUT_RDWR);
}

// head writes the beginning of a consumer's response to answer, and returns its size.
static int head(long length) {
	return sprintf(answer, "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: %ld\r\n\r\n", length);
}

static void stop_stream(struct conn *producer) {
	struct conn *consumer = producer->peer;
	close(producer->pipe[0]);
	close(producer->pipe[1]);
	producer->peer = consumer->peer = NULL;
	if (producer->unread || producer->piped) {
		end(producer);
		end(consumer);
		return;
	}
	send_all(producer, acknowledged, sizeof acknowledged - 1);
	watch(producer, EPOLL_CTL_MOD, EPOLLIN);
	watch(consumer, EPOLL_CTL_MOD, EPOLLIN);
}

// stream moves what can be moved, and waits for the side that cannot go on.
static void stream(struct conn *producer) {
	struct conn *consumer = producer->peer;
	for (;;) {
		if (producer->piped == 0 && producer->unread > 0) {
			long size = producer->unread < PIECE ? producer->unread : PIECE;
			ssize_t n = splice(producer->fd, NULL, producer->pipe[1], NULL, size, SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
			if (n < 0 && errno == EAGAIN) {
				watch(producer, EPOLL_CTL_MOD, EPOLLIN);
				watch(consumer, EPOLL_CTL_MOD, 0);
				return;
			}
			if (n <= 0)
				break;
			producer->unread -= n;
			producer->piped = n;
		}
		if (producer->piped == 0)
			break;
		ssize_t n = splice(producer->pipe[0], NULL, consumer->fd, NULL, producer->piped, SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
		if (n < 0 && errno == EAGAIN) {
			watch(producer, EPOLL_CTL_MOD, 0);
			watch(consumer, EPOLL_CTL_MOD, EPOLLOUT);
			return;
		}
		if (n <= 0)
			break;
		producer->piped -= n;
	}
	stop_stream(producer);
}

// relay lets a pair meet. body is what has come of the producer's.
static void relay(struct conn *producer, struct conn *consumer, const char *body) {
	int size = head(producer->length);
	memcpy(answer + size, body, producer->have);
	send_all(consumer, answer, size + producer->have);
	if (producer->have == producer->length) {
		send_all(producer, acknowledged, sizeof acknowledged - 1);
		return;
	}
	if (pipe2(producer->pipe, O_NONBLOCK) < 0 || fcntl(producer->pipe[1], F_SETPIPE_SZ, PIECE) < 0)
		fail("pipe");
	producer->peer = consumer;
	consumer->peer = producer;
	producer->unread = producer->length - producer->have;
	producer->piped = 0;
	stream(producer);
}

// arrive lets a request meet another one of its channel, or wait.
static void arrive(struct conn *c, const char *body) {
	struct conn **list = &waiting[c->channel % BUCKETS];
	for (struct conn *other = *list; other; other = other->next) {
		if (other->channel != c->channel || other->produces == c->produces)
			continue;
		char *held = other->body;
		other->body = NULL;
		leave(other);
		if (c->produces)
			relay(c, other, body);
		else {
			if (other->have < other->length)
				watch(other, EPOLL_CTL_MOD, EPOLLIN);
			relay(other, c, held);
		}
		free(held);
		return;
	}
	if (c->produces) {
		c->body = malloc(c->have);
		memcpy(c->body, body, c->have);
		if (c->have < c->length)
			watch(c, EPOLL_CTL_MOD, 0);
	}
	enter(list, c);
}

// publish writes a message to all subscribers, as an event in a chunk.
static void publish(struct conn *c, const char *message) {
	static long published;
	char event[sizeof buffer];
	int size = snprintf(event, sizeof event, "id: 00000000-0000-7000-8000-%012ld\ndata: %.*s\n\n", ++published, (int)c->length, message);
	size = sprintf(answer, "%x\r\n%s\r\n", size, event);
	for (struct conn *s = subscribers; s; s = s->next)
		send_all(s, answer, size);
	send_all(c, acknowledged, sizeof acknowledged - 1);
}

// serve reads a request, or finds that the client has left.
static void serve(struct conn *c) {
	ssize_t n = recv(c->fd, buffer, sizeof buffer - 1, MSG_DONTWAIT);
	if (n < 0 && errno == EAGAIN)
		return;
	char *body = n > 0 ? memmem(buffer, n, "\r\n\r\n", 4) : NULL;
	if (!body || c->list) { // it has left; or it has sent what this program does not understand
		end(c);
		return;
	}
	*body = 0;
	body += 4;
	char *path = strchr(buffer, ' ') + 1;
	c->produces = buffer[0] == 'P';
	c->channel = 14695981039346656037u; // FNV-1a
	for (char *p = path; *p != ' '; p++)
		c->channel = (c->channel ^ (unsigned char)*p) * 1099511628211u;
	c->have = buffer + n - body;
	c->length = 0;
	if (c->produces) {
		char *length = strstr(path, "Content-Length: ");
		c->length = length ? atol(length + strlen("Content-Length: ")) : 0;
	}
	if (strncmp(path, "/topics/", strlen("/topics/")) != 0)
		arrive(c, body);
	else if (c->produces)
		publish(c, body);
	else {
		send_all(c, subscribed, sizeof subscribed - 1);
		c->list = &subscribers;
		c->next = subscribers;
		subscribers = c;
	}
}

static void take(int listener) {
	int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd < 0)
		return;
	int yes = 1;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
	struct conn *c = calloc(1, sizeof *c);
	c->fd = fd;
	watch(c, EPOLL_CTL_ADD, EPOLLIN);
}

int main(void) {
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof address;
	struct conn listener = {.fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)};
	if (listener.fd < 0 || bind(listener.fd, (struct sockaddr *)&address, size) < 0 || listen(listener.fd, 4096) < 0 ||
	    getsockname(listener.fd, (struct sockaddr *)&address, &size) < 0 || (epoll = epoll_create1(EPOLL_CLOEXEC)) < 0)
		fail("listen");
	signal(SIGPIPE, SIG_IGN);
	watch(&listener, EPOLL_CTL_ADD, EPOLLIN);
	fprintf(stderr, "{\"msg\":\"listening\",\"addr\":\"127.0.0.1:%d\"}\n", ntohs(address.sin_port));
	struct epoll_event events[256];
	for (;;) {
		int n = epoll_wait(epoll, events, 256, -1);
		for (int i = 0; i < n; i++) {
			struct conn *c = events[i].data.ptr;
			if (c == &listener)
				take(listener.fd);
			else if (c->fd < 0)
				continue;
			else if (c->peer)
				stream(c->produces ? c : c->peer);
			else
				serve(c);
		}
		for (struct conn *c; (c = ended); free(c))
			ended = c->next;
	}
}
