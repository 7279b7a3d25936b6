/* SPDX-License-Identifier: ISC */
/*
 * The check of the files for mcrelay-web, in a process of its own: libraries
 * leave copies of a key behind, and whatever a file does to them does no harm.
 * Supervisor only.
 */
#include <sys/socket.h>
#include <sys/wait.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/process.h"
#include "common/util.h"
#include "supervisor/report.h"
#include "supervisor/spawn.h"
#include "supervisor/web_files.h"

/* It takes some milliseconds. */
#define PATIENCE_MS	5000

enum said {
	SAID_ERROR,
	SAID_WARNING,
	SAID_ALL,		/* there is no more */
};

/* A packet. */
struct finding {
	enum said	said;
	int64_t		expires_s;	/* with SAID_ALL */
	char		text[2048];
};

static void
say(int end, const struct finding *finding)
{
	if (send(end, finding, sizeof(*finding), MSG_NOSIGNAL) == -1)
		_exit(1);
}

static _Noreturn void
run(int end, const struct web_conf *conf, const struct web_config *config,
    const char *text)
{
	const char *key = text + config->size[WEB_CERTIFICATE];
	const char *users = key + config->size[WEB_KEY];
	struct conf_problems problems = {NULL, 0, 0};
	struct finding all = {.said = SAID_ALL}, each;
	size_t i;

	process_hide();
	spawn_reset_signals();
	if (config->size[WEB_KEY] > 0)
		all.expires_s = web_tls_check(conf, text, key, &problems);
	if (config->size[WEB_USERS] > 0)
		web_users_check(conf->file[WEB_USERS], users, &problems);
	for (i = 0; i < problems.count; i++) {
		memset(&each, 0, sizeof(each));
		each.said = problems.list[i].warning ? SAID_WARNING :
		    SAID_ERROR;
		snprintf(each.text, sizeof(each.text), "%s",
		    problems.list[i].text);
		say(end, &each);
	}
	say(end, &all);
	_exit(0);
}

/* False: nothing comes any more. */
static bool
hear(int end, struct finding *finding)
{
	return fd_wait_readable(end, PATIENCE_MS) && recv(end, finding,
	    sizeof(*finding), MSG_DONTWAIT) == (ssize_t)sizeof(*finding);
}

static int64_t
listen_to(int end, struct conf_problems *problems)
{
	struct finding finding;

	while (hear(end, &finding))
		switch (finding.said) {
		case SAID_ERROR:
			report_error(problems, "%s", finding.text);
			break;
		case SAID_WARNING:
			report_warning(problems, "%s", finding.text);
			break;
		case SAID_ALL:
			return finding.expires_s;
		}
	report_error(problems, "the files of `web' could not be checked: the "
	    "process that does has ended or hangs");
	return 0;
}

int64_t
web_check(const struct web_conf *conf, const struct web_config *config,
    const char *text, struct conf_problems *problems)
{
	int64_t expires;
	pid_t pid;
	int end;

	if (config->size[WEB_KEY] == 0 && config->size[WEB_USERS] == 0)
		return 0;
	pid = spawn_fork(&end);
	if (pid == 0)
		run(end, conf, config, text);
	if (pid == -1) {
		report_error(problems, "the files of `web' could not be "
		    "checked: %s", strerror(errno));
		return 0;
	}
	expires = listen_to(end, problems);
	close(end);
	(void)kill(pid, SIGKILL);
	while (waitpid(pid, NULL, 0) == -1 && errno == EINTR)
		;
	return expires;
}
