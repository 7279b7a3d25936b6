/* SPDX-License-Identifier: ISC */
/*
 * Asks another version's program for a segment's numbers.  Supervisor only.
 *
 * That program has run as this supervisor until now; but it reads what a worker
 * wrote, so it does that as the worker's user, without capabilities, and may
 * neither gain any nor write more than it has to.  It is waited for, for a
 * second at most; what it says is checked in account_read.c.
 *
 * To fork a supervisor of a thousand channels and to load a program costs ten
 * times what it takes to read a segment.  So a program that can serve does the
 * forking (account_serve.c); one of a version that cannot is started for each.
 */
#include <sys/socket.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/log.h"
#include "common/memory.h"
#include "common/process.h"
#include "common/util.h"
#include "supervisor/account_priv.h"
#include "supervisor/images.h"
#include "supervisor/spawn.h"

/* What serves waits for a second or two itself. */
#define SERVED_MS		3000
#define EXIT_CANNOT_EXEC	127

/*** The program's process. ***/

/* The descriptors are moved out of each other's way first.  The image's is
 * behind the segment's. */
static int
place(int *image, int fd, int output)
{
	int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	int first_free = ACCOUNT_FD + 2;

	*image = fcntl(*image, F_DUPFD_CLOEXEC, first_free);
	fd = fcntl(fd, F_DUPFD_CLOEXEC, first_free);
	output = fcntl(output, F_DUPFD_CLOEXEC, first_free);
	if (null_fd == -1 || *image == -1 || fd == -1 || output == -1 ||
	    dup2(null_fd, STDIN_FILENO) == -1 ||
	    dup2(null_fd, STDERR_FILENO) == -1 ||
	    dup2(output, STDOUT_FILENO) == -1 || dup2(fd, ACCOUNT_FD) == -1 ||
	    dup3(*image, ACCOUNT_FD + 1, O_CLOEXEC) == -1)
		return -1;
	*image = ACCOUNT_FD + 1;
	return process_close_from(first_free);
}

/* What serves stays who we are, to become whom it is asked for. */
static _Noreturn void
run_image(int image, const struct privdrop *user, int fd, int output)
{
	char name[] = "mcrelayd", option[] = "--account";
	char *argv[] = {name, option, NULL};

	spawn_reset_signals();
	log_close();
	unsetenv("NOTIFY_SOCKET");
	if (place(&image, fd, output) == 0 &&
	    (user == NULL || account_become(user) == 0) &&
	    account_confine() == 0)
		fexecve(image, argv, environ);
	_exit(EXIT_CANNOT_EXEC);
}

static pid_t
start(int image, const struct privdrop *user, int fd, int output)
{
	pid_t pid = account_fork();

	if (pid == 0)
		run_image(image, user, fd, output);
	return pid;
}

/*** The supervisor. ***/

static json_t *
read_back(int output)
{
	json_t *account = NULL;
	char *text = xcalloc(1, ACCOUNT_MAX);
	ssize_t got = pread(output, text, ACCOUNT_MAX, 0);

	if (got > 0)
		account = json_loadb(text, (size_t)got, JSON_REJECT_DUPLICATES,
		    NULL);
	free(text);
	if (account != NULL && account_makes_sense(account))
		return account;
	json_decref(account);
	return NULL;
}

static enum account_answer
ask_alone(int image, const struct privdrop *user, int fd, int output)
{
	pid_t pid = start(image, user, fd, output);

	return pid == -1 ? ACCOUNT_NONSENSE : account_await(pid);
}

static bool
start_server(struct image *image)
{
	int pair[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == -1)
		return false;
	pid = start(image->fd[IMAGE_DAEMON], NULL, pair[1], STDERR_FILENO);
	close(pair[1]);
	if (pid == -1) {
		close(pair[0]);
		return false;
	}
	/* Nobody has reaped it yet: its number is its own still. */
	image->server_process = process_open(pid);
	image->server = pair[0];
	return true;
}

/* How one is told, and what it says; -1: it does not. */
static int
exchange(int server, const struct privdrop *user, int fd, int output)
{
	char text[ACCOUNT_REQUEST_MAX];
	const int fds[] = {fd, output};
	unsigned char said;
	size_t i;
	int length;

	length = snprintf(text, sizeof(text), "%u %u", user->uid, user->gid);
	for (i = 0; i < user->groups; i++)
		length += snprintf(text + length,
		    sizeof(text) - (size_t)length, " %u", user->group[i]);
	if (fd_send(server, text, (size_t)length, fds, NITEMS(fds)) == -1 ||
	    !fd_wait_readable(server, SERVED_MS) ||
	    recv(server, &said, sizeof(said), MSG_DONTWAIT) != 1 ||
	    said > ACCOUNT_NONSENSE)
		return -1;
	return said;
}

static enum account_answer
ask_server(struct image *image, const struct privdrop *user, int fd,
    int output)
{
	int said = -1;

	if (!image->unserved && (image->server != -1 || start_server(image)))
		said = exchange(image->server, user, fd, output);
	if (said != -1)
		return (enum account_answer)said;
	/* It never can, or has come to grief. */
	if (!image->unserved)
		log_info("upgrade: the old version says what was counted by "
		    "a process for each channel");
	image->unserved = true;
	image_end_server(image);
	return ask_alone(image->fd[IMAGE_DAEMON], user, fd, output);
}

enum account_answer
account_ask(struct image *image, const struct privdrop *user, int fd,
    json_t **account)
{
	int output = memory_open("mcrelay:account");
	enum account_answer answer = ACCOUNT_NONSENSE;

	*account = NULL;
	if (output == -1)
		return answer;
	answer = ask_server(image, user, fd, output);
	if (answer == ACCOUNT_GIVEN)
		*account = read_back(output);
	close(output);
	return answer == ACCOUNT_GIVEN && *account == NULL ? ACCOUNT_NONSENSE :
	    answer;
}

const char *
account_answer_text(enum account_answer answer)
{
	switch (answer) {
	case ACCOUNT_GIVEN:
		return "it says what was counted";
	case ACCOUNT_DAMAGED:
		return "the memory is damaged";
	case ACCOUNT_LATE:
		return "the old version's program does not answer";
	case ACCOUNT_NONSENSE:
		break;
	}
	return "the old version's program does not say what was counted";
}
