/* SPDX-License-Identifier: ISC */
/*
 * The event loop of mcrelay-web, and libmicrohttpd on it.  Whatever clients do
 * (connections.h), nothing of that reaches anybody but this process.
 */
#include <sys/socket.h>
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/log_loop.h"
#include "common/message.h"
#include "common/sandbox.h"
#include "common/util.h"
#include "metrics/process.h"
#include "web/accept.h"
#include "web/auth.h"
#include "web/config.h"
#include "web/connections.h"
#include "web/live.h"
#include "web/pages.h"
#include "web/tls.h"
#include "web/web.h"
#include "web/web_priv.h"

#define PROGRAM		"mcrelay-web"
#define LISTENING_FD	(MESSAGE_FD + 1)
/* Behind web_config.h's. */
#define STREAMS_FD	(MESSAGE_FD + 3)

/* Of one connection, for its request. */
#define MEMORY_MAX	((size_t)16 * 1024)
/* How often it is looked who is overdue, while anybody is there. */
#define TICK_S		0.1
/* How long those who are connected when we are to end have for their request,
 * and how often it is looked whether all are answered. */
#define LAST_NS		(250 * NS_PER_MS)
#define LAST_S		0.01

/* Where the page is not installed. */
#define INDEX_PAGE	"mcrelay: metrics for Prometheus are at /metrics\n"

static struct {
	struct ev_loop		*loop;
	struct MHD_Daemon	*daemon;
	ev_io			 io;		/* on its epoll descriptor */
	ev_timer		 due;		/* it wants to run then */
	ev_timer		 tick;
	ev_signal		 term;
	ev_timer		 last;		/* we are to end */
	uint64_t		 end_ns;	/* then at the latest */
	struct request_list	 waiting;	/* for the supervisor */
} web;

/*** libmicrohttpd on the loop. ***/

static void
run(void)
{
	MHD_UNSIGNED_LONG_LONG ms;

	(void)MHD_run(web.daemon);
	ev_timer_stop(web.loop, &web.due);
	if (MHD_get_timeout(web.daemon, &ms) != MHD_YES)
		return;
	ev_timer_set(&web.due, (double)ms / 1000., 0.);
	ev_timer_start(web.loop, &web.due);
}

static void
on_io(struct ev_loop *loop ATTR_UNUSED, ev_io *watcher ATTR_UNUSED,
    int events ATTR_UNUSED)
{
	run();
}

static void
on_due(struct ev_loop *loop ATTR_UNUSED, ev_timer *watcher ATTR_UNUSED,
    int events ATTR_UNUSED)
{
	run();
}

/*** Requests. ***/

static void
give(struct request *request, struct answer *answer)
{
	TAILQ_REMOVE(&web.waiting, request, link);
	request->waits = false;
	request->answer = answer;
	MHD_resume_connection(request->connection);
}

static void
on_status(const char *text, size_t size)
{
	struct document *document = text == NULL ? NULL : document_read(text,
	    size);
	const struct web_status whole = {text, size, document == NULL ? NULL :
	    document->node}, *status = document == NULL ? NULL : &whole;
	struct answers answers = {.made = NULL};
	struct request *request, *next;
	struct answer *answer;

	for (request = TAILQ_FIRST(&web.waiting); request != NULL;
	    request = next) {
		next = TAILQ_NEXT(request, link);
		answer = answer_request(&answers, request, status);
		if (answer != NULL)
			give(request, answer);
	}
	answers_done(&answers);
	live_status(whole.node);
	document_free(document);
	if (!TAILQ_EMPTY(&web.waiting))
		ask_status();
	run();
}

static void
on_streams(const char *text, size_t size)
{
	json_t *document = text == NULL ? NULL : json_loadb(text, size, 0,
	    NULL);

	answer_forget_streams();
	live_streams(document, STREAMS_FD);
	json_decref(document);
}

static enum MHD_Result
queue(struct MHD_Connection *connection, struct answer *answer)
{
	return answer->response == NULL ? MHD_NO :
	    MHD_queue_response(connection, answer->code, answer->response);
}

static struct connection *
connection_of(struct MHD_Connection *connection)
{
	return MHD_get_connection_info(connection,
	    MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
}

/* At once, whatever else the client may want to send. */
static enum MHD_Result
queue_text(struct MHD_Connection *connection, unsigned code, const char *text)
{
	struct answer *answer = answer_text(code, text);
	enum MHD_Result result = queue(connection, answer);

	answer_release(answer);
	return result;
}

/* One for which the supervisor is asked. */
static enum MHD_Result
begin_request(struct MHD_Connection *connection, enum request_kind kind,
    void **context)
{
	struct request *request = request_new(connection, kind);

	*context = request;
	if (request->wrong != NULL)
		return queue_text(connection, MHD_HTTP_BAD_REQUEST,
		    request->wrong);
	request->deadline_ns = clock_monotonic_ns() + WEB_ANSWER_NS;
	request->waits = true;
	TAILQ_INSERT_TAIL(&web.waiting, request, link);
	MHD_suspend_connection(connection);
	ask_status();
	return MHD_YES;
}

/* As long as the client likes. */
static enum MHD_Result
begin_live(struct MHD_Connection *connection, void **context)
{
	struct connection *mine = connection_of(connection);
	struct request *request = request_new(connection, REQUEST_LIVE);
	struct answer *answer;
	enum MHD_Result result;
	unsigned code;

	*context = request;
	request->live = live_new(connection, &request->wrong, &code);
	if (request->live == NULL)
		return queue_text(connection, code, request->wrong);
	mine->deadline_ns = UINT64_MAX;
	answer = answer_live(request->live);
	result = queue(connection, answer);
	answer_release(answer);
	return result;
}

static enum MHD_Result
answer_other(struct MHD_Connection *connection, const char *url)
{
	bool gzip = accept_gzip(MHD_lookup_connection_value(connection,
	    MHD_HEADER_KIND, MHD_HTTP_HEADER_ACCEPT_ENCODING));
	struct MHD_Response *page;
	struct answer *answer;
	enum MHD_Result result;
	unsigned code;

	if (strcmp(url, "/streams") == 0) {
		answer = answer_streams(gzip);
		result = queue(connection, answer);
		answer_release(answer);
		return result;
	}
	if (pages_find(connection, url, gzip, &page, &code))
		return MHD_queue_response(connection, code, page);
	if (strcmp(url, "/") == 0)
		return queue_text(connection, MHD_HTTP_OK, INDEX_PAGE);
	return queue_text(connection, MHD_HTTP_NOT_FOUND,
	    "there is no such page\n");
}

static enum MHD_Result
refuse(struct MHD_Connection *connection, enum auth_verdict verdict)
{
	struct answer *answer;
	enum MHD_Result result = MHD_YES;

	if (verdict != AUTH_WAIT) {
		answer = auth_refusal(verdict);
		result = queue(connection, answer);
		answer_release(answer);
	}
	return result;
}

static enum MHD_Result
on_request(void *argument ATTR_UNUSED, struct MHD_Connection *connection,
    const char *url, const char *method, const char *version ATTR_UNUSED,
    const char *data ATTR_UNUSED, size_t *size ATTR_UNUSED, void **context)
{
	struct connection *mine = connection_of(connection);
	struct request *request = *context;
	enum auth_verdict verdict;

	mine->asked = true;
	if (request != NULL)
		return request->answer == NULL ? MHD_NO :
		    queue(connection, request->answer);
	verdict = auth_check(connection, &mine->auth);
	if (verdict != AUTH_GOOD)
		return refuse(connection, verdict);
	if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 &&
	    strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
		return queue_text(connection, MHD_HTTP_METHOD_NOT_ALLOWED,
		    "only GET and HEAD\n");
	if (strcmp(url, "/metrics") == 0)
		return begin_request(connection, REQUEST_METRICS, context);
	if (strcmp(url, "/status") == 0)
		return begin_request(connection, REQUEST_STATUS, context);
	if (strcmp(url, "/live") == 0)
		return begin_live(connection, context);
	return answer_other(connection, url);
}

static void
on_completed(void *argument ATTR_UNUSED,
    struct MHD_Connection *connection ATTR_UNUSED, void **context,
    enum MHD_RequestTerminationCode code ATTR_UNUSED)
{
	struct request *request = *context;

	*context = NULL;
	if (request == NULL)
		return;
	if (request->waits)
		TAILQ_REMOVE(&web.waiting, request, link);
	request_free(request);
}

/*** Connections. ***/

static enum MHD_Result
on_accept(void *argument ATTR_UNUSED, const struct sockaddr *sa,
    socklen_t size ATTR_UNUSED)
{
	static struct log_limit limit;
	char text[CONFIG_FROM_SIZE];

	if (config_allows(sa) && connections_allow(sa))
		return MHD_YES;
	config_from(sa, text);
	log_limited(&limit, config_allows(sa) ? "%s has too many connections: "
	    "refused" : "%s is not in `allow': refused", text);
	return MHD_NO;
}

static void
on_connection(void *argument ATTR_UNUSED, struct MHD_Connection *connection,
    void **context, enum MHD_ConnectionNotificationCode code)
{
	struct connection *mine = *context;
	int fd;

	if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
		if (mine != NULL)
			auth_forget(&mine->auth);
		connection_free(mine);
		*context = NULL;
		return;
	}
	fd = MHD_get_connection_info(connection,
	    MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
	*context = connection_new(fd, MHD_get_connection_info(connection,
	    MHD_CONNECTION_INFO_CLIENT_ADDRESS)->client_addr);
	if (!ev_is_active(&web.tick)) {
		ev_timer_set(&web.tick, TICK_S, TICK_S);
		ev_timer_start(web.loop, &web.tick);
	}
}

static void
answer_overdue(uint64_t now)
{
	struct answers answers = {.made = NULL};
	struct request *request, *next;

	for (request = TAILQ_FIRST(&web.waiting); request != NULL;
	    request = next) {
		next = TAILQ_NEXT(request, link);
		if (now >= request->deadline_ns)
			give(request, answer_request(&answers, request, NULL));
	}
	answers_done(&answers);
}

static void
on_tick(struct ev_loop *loop, ev_timer *watcher, int events ATTR_UNUSED)
{
	uint64_t now = clock_monotonic_ns();
	bool idle = connections_none();

	auth_overdue(now);
	answer_overdue(now);
	connections_end_overdue(now);
	run();
	/* Not after the run in which the last ones went: only in the next one
	 * does libmicrohttpd listen again, if all places were taken. */
	if (idle && connections_none())
		ev_timer_stop(loop, watcher);
}

/*** Start and end. ***/

static void ATTR_PRINTF(2, 0)
on_log(void *argument ATTR_UNUSED, const char *fmt, va_list ap)
{
	char text[256];

	vsnprintf(text, sizeof(text), fmt, ap);
	text[strcspn(text, "\n")] = '\0';
	log_debug("%s", text);
}

static void
on_last(struct ev_loop *loop, ev_timer *watcher ATTR_UNUSED,
    int events ATTR_UNUSED)
{
	if (clock_monotonic_ns() >= web.end_ns ||
	    (TAILQ_EMPTY(&web.waiting) && !connections_expected()))
		ev_break(loop, EVBREAK_ALL);
}

/* Who is not connected yet is the successor's. */
static void
on_term(struct ev_loop *loop, ev_signal *watcher ATTR_UNUSED,
    int events ATTR_UNUSED)
{
	if (web.end_ns != 0)
		return;
	(void)MHD_quiesce_daemon(web.daemon);
	web.end_ns = clock_monotonic_ns() + LAST_NS;
	ev_timer_start(loop, &web.last);
	on_last(loop, &web.last, 0);
}

static void
start_daemon(void)
{
	struct MHD_OptionItem tls[TLS_OPTIONS];
	const union MHD_DaemonInfo *info;

	web.daemon = MHD_start_daemon(tls_options(tls) | MHD_USE_EPOLL |
	    MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG, 0, on_accept, NULL,
	    on_request, NULL,
	    MHD_OPTION_EXTERNAL_LOGGER, on_log, NULL,
	    MHD_OPTION_LISTEN_SOCKET, (MHD_socket)LISTENING_FD,
	    MHD_OPTION_CONNECTION_LIMIT, CONNECTIONS_MAX,
	    MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)(CONNECTION_NS /
	    NS_PER_S),
	    MHD_OPTION_CONNECTION_MEMORY_LIMIT, MEMORY_MAX,
	    MHD_OPTION_NOTIFY_CONNECTION, on_connection, NULL,
	    MHD_OPTION_NOTIFY_COMPLETED, on_completed, NULL,
	    MHD_OPTION_ARRAY, tls,
	    MHD_OPTION_END);
	if (web.daemon == NULL)
		fatalx("libmicrohttpd cannot start");
	info = MHD_get_daemon_info(web.daemon, MHD_DAEMON_INFO_EPOLL_FD);
	if (info == NULL || info->epoll_fd < 0)
		fatalx("libmicrohttpd has no epoll");
	ev_io_init(&web.io, on_io, info->epoll_fd, EV_READ);
	ev_io_start(web.loop, &web.io);
}

static void
start(void)
{
	TAILQ_INIT(&web.waiting);
	ev_init(&web.due, on_due);
	ev_init(&web.tick, on_tick);
	ev_timer_init(&web.last, on_last, LAST_S, LAST_S);
	ev_signal_init(&web.term, on_term, SIGTERM);
	ev_signal_start(web.loop, &web.term);
	log_loop_start(web.loop);
	config_load();
	auth_init(web.loop, run);
	fd_set_nonblock(LISTENING_FD);
	fd_set_cloexec(LISTENING_FD, 1);
	start_daemon();
	fd_set_nonblock(STREAMS_FD);
	fd_set_cloexec(STREAMS_FD, 1);
	live_start(web.loop, run, ask_status);
	ask_start(web.loop, on_status, on_streams);
	config_forget();
}

/* No request may hold up the end longer: what waits is given what there is. */
static void
end(void)
{
	auth_overdue(UINT64_MAX);
	answer_overdue(UINT64_MAX);
	live_end();
	MHD_stop_daemon(web.daemon);
	answer_forget_streams();
	pages_free();
	ev_loop_destroy(web.loop);
}

int
web_run(void)
{
	log_init(PROGRAM, NULL, LOG_TARGET_STDERR, LOG_INFO);
	web.loop = EV_DEFAULT;
	if (web.loop == NULL)
		fatalx("libev cannot start");
	/* The supervisor decides for its children what these mean. */
	signal(SIGINT, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	start();
	pages_load();
	/* It would read /dev/urandom later. */
	json_object_seed(0);
	/* Another cannot listen while we do. */
	message_end_with_supervisor();
	message_ready(sandbox_enter(&(struct sandbox){
	    .program = SANDBOX_WEB, .directory = process_root(),
	    .syslog = true}));
	auth_start();
	ev_run(web.loop, 0);
	end();
	return 0;
}
