/* SPDX-License-Identifier: ISC */
/*
 * How a child's process ended: the obituary in the log, and the counts.
 * Supervisor only.
 */
#include <sys/wait.h>
#include <stdio.h>
#include <string.h>

#include "common/log.h"
#include "common/segment.h"
#include "common/util.h"
#include "supervisor/child.h"
#include "supervisor/child_priv.h"

void
child_describe_exit(int status, char *text, size_t size)
{
	if (WIFSIGNALED(status))
		snprintf(text, size, "was killed by signal %d (%s)%s",
		    WTERMSIG(status), strsignal(WTERMSIG(status)),
		    WCOREDUMP(status) ? ", core dumped" : "");
	else
		snprintf(text, size, "exited with status %d",
		    WEXITSTATUS(status));
}

static void
count_death(struct child *child, int status)
{
	if (child->hung)
		child->deaths.hung++;
	else if (WIFSIGNALED(status))
		child->deaths.signalled++;
	else if (WEXITSTATUS(status) != 0)
		child->deaths.exited++;
}

void
child_bury(struct child *child, int status, bool part, uint64_t now)
{
	void (*say)(const char *, ...) = log_warnx;
	char words[LAST_WORDS_SIZE];

	child_describe_exit(status, child->last_exit,
	    sizeof(child->last_exit));
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		say = log_info;
	say("%s: %sprocess %d %s after %.3f s", child->label,
	    part ? "its part of " : "", (int)child->pid, child->last_exit,
	    (double)(now - child->spawned_ns) / (double)NS_PER_S);
	count_death(child, status);
	words[0] = '\0';
	if (child->ops->last_words != NULL)
		child->ops->last_words(child->owner, words, sizeof(words));
	if (words[0] != '\0')
		log_warnx("%s: its last words: %s", child->label, words);
	if (child->ops->died != NULL)
		child->ops->died(child->owner, &(struct child_obituary){
		    child->pid, child->last_exit, words,
		    child->state == CHILD_STOPPING && !child->hung,
		    child->hung, now - child->spawned_ns});
}
