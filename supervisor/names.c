/* SPDX-License-Identifier: ISC */
/*
 * Asks the name service.  See names.h.  Supervisor only; answer_all() is what
 * the other process runs.
 */
#include <sys/types.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/process.h"
#include "common/util.h"
#include "supervisor/errand.h"
#include "supervisor/names.h"

#define ANSWER_MS	5000U
#define NAME_MAX_SIZE	256

struct question {
	char	name[NAME_MAX_SIZE];	/* "": of the number */
	uid_t	id;
};

struct answer {
	int		error;		/* errno; 0: there is one */
	struct privdrop	user;		/* of the name */
};

static struct errand	errand;		/* the process that answers, if any */
static bool		gave_up;
static bool		hurry;
static uint64_t		spent_ns;	/* since names_end() */

/*** The process that asks. ***/

static int
look_up(const char *name, struct privdrop *user)
{
	int groups = PRIVDROP_GROUPS_MAX;
	struct passwd *pw;

	errno = 0;
	if ((pw = getpwnam(name)) == NULL)
		return errno == 0 || errno == ESRCH ? ENOENT : errno;
	user->uid = pw->pw_uid;
	user->gid = pw->pw_gid;
	if (getgrouplist(name, pw->pw_gid, user->group, &groups) == -1)
		return E2BIG;
	user->groups = (size_t)groups;
	return 0;
}

static int
look_for(uid_t id)
{
	return getpwuid(id) != NULL || getgrgid((gid_t)id) != NULL ? 0 :
	    ENOENT;
}

static void
answer_all(int asked, int kept ATTR_UNUSED, const void *argument ATTR_UNUSED)
{
	struct question question;
	struct answer answer;

	while (recv(asked, &question, sizeof(question), 0) ==
	    (ssize_t)sizeof(question)) {
		memset(&answer, 0, sizeof(answer));
		answer.error = question.name[0] != '\0' ?
		    look_up(question.name, &answer.user) :
		    look_for(question.id);
		if (send(asked, &answer, sizeof(answer), MSG_NOSIGNAL) == -1)
			break;
		/* It may take so long for each, not for all of them. */
		(void)alarm(2 * ANSWER_MS / 1000);
	}
}

/*** The supervisor. ***/

/* Ends it; who has answered all waits for the next question, and ends at
 * once. */
static void
end(bool answered)
{
	if (errand.answer == 0)
		return;
	if (answered && process_kill(errand.process) == 0)
		process_reap(errand.process);
	errand_forget(&errand);
}

static bool
wait_for_answer(void)
{
	uint64_t begin_ns = clock_monotonic_ns();
	uint64_t spent_ms = hurry ? spent_ns / NS_PER_MS : 0;
	bool there = fd_wait_readable(errand.answer,
	    (unsigned)(ANSWER_MS - MIN_OF(spent_ms, ANSWER_MS)));

	spent_ns += clock_monotonic_ns() - begin_ns;
	return there;
}

void
names_hurry(void)
{
	hurry = true;
}

/* False: no answer. */
static bool
ask(const struct question *question, struct answer *answer)
{
	if (gave_up)
		return false;
	if ((errand.answer != 0 || errand_start(&errand, errand_kind("names"),
	    answer_all, -1, NULL) == 0) &&
	    send(errand.answer, question, sizeof(*question), MSG_NOSIGNAL) !=
	    -1 && wait_for_answer() &&
	    recv(errand.answer, answer, sizeof(*answer), 0) ==
	    (ssize_t)sizeof(*answer))
		return true;
	end(false);
	gave_up = true;
	return false;
}

int
names_user(const char *name, struct privdrop *user)
{
	struct question question = {.id = 0};
	struct answer answer;

	if (name[0] == '\0' || strlen(name) >= sizeof(question.name)) {
		errno = ENOENT;
		return -1;
	}
	snprintf(question.name, sizeof(question.name), "%s", name);
	if (!ask(&question, &answer))
		answer.error = ETIMEDOUT;
	else if (answer.error == 0)
		*user = answer.user;
	errno = answer.error;
	return errno == 0 ? 0 : -1;
}

bool
names_has(uid_t id)
{
	const struct question question = {.id = id};
	struct answer answer;

	return ask(&question, &answer) && answer.error == 0;
}

bool
names_end(void)
{
	bool all = !gave_up;

	end(true);
	gave_up = false;
	spent_ns = 0;
	return all;
}
