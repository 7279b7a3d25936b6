/* SPDX-License-Identifier: ISC */
/*
 * mcrelay-web: its socket, its process, what it is told.  Supervisor only.
 */
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <errno.h>
#include <libgen.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "common/message.h"
#include "common/util.h"
#include "supervisor/dirs.h"
#include "supervisor/memory_file.h"
#include "supervisor/status.h"
#include "supervisor/runnable.h"
#include "supervisor/supervisor.h"
#include "supervisor/web.h"
#include "supervisor/web_priv.h"

#define WEB_PROGRAM	"mcrelay-web"

/* Connections that wait to be accepted; more are refused by the kernel. */
#define BACKLOG		64

/*** Its socket. ***/

static bool
is_wanted(const struct supervisor *supervisor)
{
	return supervisor->conf->web.address.ss_family != AF_UNSPEC &&
	    supervisor->phase != PHASE_STOPPING;
}

static const char *
path_of(const struct web_conf *conf)
{
	const struct sockaddr_un *un = (const void *)&conf->address;

	return conf->address.ss_family == AF_UNIX ? un->sun_path : NULL;
}

bool
web_is_near(const char *path)
{
	char directory[WEB_PATH_SIZE];

	snprintf(directory, sizeof(directory), "%s", path);
	return dirs_is_near(dirname(directory));
}

/* Whether it is a socket at which nobody listens any more. */
static bool
is_leftover(const struct web_conf *conf)
{
	struct stat st;
	bool refused;
	int fd;

	if (lstat(path_of(conf), &st) == -1 || !S_ISSOCK(st.st_mode))
		return false;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	refused = fd != -1 && connect(fd, (const void *)&conf->address,
	    sizeof(struct sockaddr_un)) == -1 && errno == ECONNREFUSED;
	if (fd != -1)
		close(fd);
	return refused;
}

/* Whoever reaches the path may connect: its directory says who. */
static int
bind_path(int fd, struct web *web)
{
	const char *path = path_of(&web->conf);
	mode_t mask;
	int result;

	if (!web_is_near(path)) {
		errno = EREMOTE;
		return -1;
	}
	if (is_leftover(&web->conf))
		(void)unlink(path);
	mask = umask(0111);
	result = bind(fd, (const void *)&web->conf.address,
	    sizeof(struct sockaddr_un));
	umask(mask);
	return result == -1 ? -1 : lstat(path, &web->made);
}

/* What we made; no socket of anybody's who has come since. */
static void
remove_socket(const struct web *web)
{
	const char *path = path_of(&web->conf);
	struct stat st;

	if (path != NULL && web_is_near(path) && lstat(path, &st) == 0 &&
	    st.st_dev == web->made.st_dev && st.st_ino == web->made.st_ino)
		(void)unlink(path);
}

static int
bind_address(int fd, const struct web_conf *conf)
{
	const struct sockaddr *sa = (const void *)&conf->address;
	int one = 1, none = 0;

	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	/* :: is everybody, whatever the host's preset is. */
	if (sa->sa_family == AF_INET6)
		(void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &none,
		    sizeof(none));
	return bind(fd, sa, sockaddr_size(sa));
}

static int
open_socket(struct web *web)
{
	const struct web_conf *conf = &web->conf;
	int fd = socket(conf->address.ss_family, SOCK_STREAM | SOCK_NONBLOCK |
	    SOCK_CLOEXEC, 0), saved;

	if (fd == -1)
		return -1;
	if ((path_of(conf) != NULL ? bind_path(fd, web) :
	    bind_address(fd, conf)) == 0 && listen(fd, BACKLOG) == 0)
		return fd;
	saved = errno;
	close(fd);
	errno = saved;
	return -1;
}

static void
close_socket(struct web *web)
{
	if (web->listening == -1)
		return;
	close(web->listening);
	remove_socket(web);
	web->listening = -1;
}

void
web_lack(struct web *web, const char *fmt, ...)
{
	char lack[sizeof(web->lack)];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(lack, sizeof(lack), fmt, ap);
	va_end(ap);
	if (strcmp(lack, web->lack) != 0)
		log_warnx("web: %s, tried again each second", lack);
	memcpy(web->lack, lack, sizeof(lack));
}

static void
listen_as_configured(struct web *web)
{
	char text[ADDRESS_TEXT_SIZE];
	const char *path;

	web->listening = open_socket(web);
	path = path_of(&web->conf);
	if (web->listening != -1) {
		web->lack[0] = '\0';
		return;
	}
	if (path == NULL)
		format_address((const void *)&web->conf.address, text);
	web_lack(web, "cannot listen at %s: %s", path != NULL ? path : text,
	    errno == EREMOTE ? "its directory is of a server" :
	    strerror(errno));
}

/*** What it sees the streams by. ***/

static bool
open_live(struct web *web)
{
	if (web->live.out != -1)
		return true;
	if (!live_pair_open(&web->live)) {
		web_lack(web, "no sockets to see the streams by: %s",
		    strerror(errno));
		return false;
	}
	decimators_live(web->supervisor);
	return true;
}

static void
close_live(struct web *web)
{
	if (live_pair_close(&web->live))
		decimators_live(web->supervisor);
}

/*** What it is told. ***/

/* With a file, which is in *told from then on; the one before has been read,
 * or is of no more use.  False, and there is none: it cannot be told. */
static bool
tell(struct web *web, enum message_type type, int fd, int *told)
{
	static struct log_limit limit;
	const struct message message = {.type = type};

	memory_file_take_back(*told);
	*told = fd;
	if (fd == -1)
		log_limited(&limit, "web: cannot tell it anything: %s",
		    strerror(errno));
	return fd != -1 && fd_send(web->child.messages, &message,
	    sizeof(message), &fd, 1) != -1;
}

/* To send it all would take a reader: it is a file. */
static bool
tell_status(struct web *web)
{
	struct growing text = {.text = NULL};
	int fd;

	status_print(&text, NULL, web->supervisor, NULL);
	fd = memory_file("mcrelay-status", text.text, text.size);
	free(text.text);
	return tell(web, MESSAGE_STATUS, fd, &web->told);
}

/* If it does not read it is told later. */
static void
tell_streams(struct web *web)
{
	if (!web->streams_told && web->child.state == CHILD_RUNNING)
		web->streams_told = tell(web, MESSAGE_STREAMS,
		    web_streams_file(web->supervisor), &web->told_streams);
}

/*** Its process. ***/

static pid_t
web_spawn(void *owner, int messages, int stderr_fd)
{
	struct web *web = owner;
	struct supervisor *supervisor = web->supervisor;
	const struct privdrop *user = &supervisor->conf->web_user;
	const int fds[] = {messages, web->listening, web->files.fd,
	    web->live.in};

	if (!runnable_child(supervisor, &web->child, WEB_PROGRAM, user))
		return -1;
	return spawn_program(&supervisor->spawn, WEB_PROGRAM, NULL, user,
	    stderr_fd, fds, NITEMS(fds));
}

/* Its successor knows of nothing. */
static void
web_ended(void *owner)
{
	struct web *web = owner;

	memory_file_take_back(web->told);
	memory_file_take_back(web->told_streams);
	web->told = web->told_streams = -1;
	web->look = web->streams_told = false;
}

static void
web_changed(void *owner)
{
	struct web *web = owner;

	tell_streams(web);
	supervisor_notice(web->supervisor);
}

/* Deaf for a while after it: a process that is taken over cannot have us do
 * nothing else. */
static enum child_said
web_message(void *owner, const struct message *message)
{
	static const struct message answer = {.type = MESSAGE_STATUS};
	struct web *web = owner;

	if (message->type != MESSAGE_STATUS)
		return watch_answer(message, &web->look);
	/* An answer is due in any case: it waits for that one. */
	if (!tell_status(web) && fd_send(web->child.messages, &answer,
	    sizeof(answer), NULL, 0) == -1)
		log_debug("web: it does not take the status");
	return CHILD_SAID_NEWS;
}

static const struct child_ops web_ops = {
	.spawn		= web_spawn,
	.ended		= web_ended,
	.changed	= web_changed,
	.message	= web_message,
};

/*** What others call. ***/

void
web_init(struct supervisor *supervisor)
{
	struct web *web = &supervisor->web;

	web->supervisor = supervisor;
	web->listening = web->told = web->told_streams = -1;
	web->live.out = web->live.in = -1;
	web->files.fd = web->staged.fd = -1;
	child_init(&web->child, supervisor->loop, &web_ops, web, "web",
	    WEB_PROGRAM);
}

void
web_done(struct supervisor *supervisor)
{
	struct web *web = &supervisor->web;

	close_socket(web);
	web_files_close(&web->files);
	web_files_close(&web->staged);
	memory_file_take_back(web->told);
	memory_file_take_back(web->told_streams);
	close_live(web);
	child_done(&web->child);
}

void
web_second(struct supervisor *supervisor)
{
	struct web *web = &supervisor->web;
	bool same = memcmp(&web->conf.address, &supervisor->conf->web.address,
	    sizeof(web->conf.address)) == 0;

	if (!is_wanted(supervisor) || !same) {
		close_socket(web);
		close_live(web);
		child_stop(&web->child);
	}
	web->conf = supervisor->conf->web;
	if (!is_wanted(supervisor)) {
		web_files_close(&web->files);
		web_files_close(&web->staged);
		return;
	}
	web_take_staged(web);
	/* Nobody would answer: clients are refused. */
	if (web->child.state == CHILD_FAILED) {
		close_socket(web);
		return;
	}
	watch_check_web(web);
	tell_streams(web);
	if (web->child.pid != 0 || !web_have_files(web))
		return;
	if (web->listening == -1)
		listen_as_configured(web);
	if (web->listening != -1 && open_live(web) &&
	    web->child.state == CHILD_STOPPED)
		child_start(&web->child);
}

void
web_reloaded(struct supervisor *supervisor)
{
	supervisor->web.streams_told = false;
	tell_streams(&supervisor->web);
}

bool
web_stop(struct supervisor *supervisor)
{
	struct web *web = &supervisor->web;

	close_socket(web);
	close_live(web);
	if (web->child.wanted)
		child_stop(&web->child);
	if (web->child.stuck)
		child_abandon(&web->child);
	return web->child.pid == 0;
}
