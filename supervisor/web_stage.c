/* SPDX-License-Identifier: ISC */
/*
 * When mcrelay-web gets which files.  Supervisor only.
 */
#include "common/log.h"
#include "supervisor/report.h"
#include "supervisor/supervisor.h"
#include "supervisor/web.h"
#include "supervisor/web_priv.h"

/* At the start that is waited for, as the configuration was. */
static bool
may_look(const struct web *web)
{
	size_t i;

	for (i = 0; i < WEB_TEXTS && web->tried; i++)
		if (web->conf.file[i][0] != '\0' &&
		    !web_is_near(web->conf.file[i]))
			return false;
	return true;
}

static const char *
first_error(const struct conf_problems *problems)
{
	size_t i = 0;

	while (problems->list[i].warning)
		i++;
	return problems->list[i].text;
}

bool
web_have_files(struct web *web)
{
	struct conf_problems problems = {NULL, 0, 0};

	if (web->files.fd != -1)
		return true;
	if (!may_look(web))
		return false;
	if (!web_files_open(&web->files, &web->conf, &problems))
		web_lack(web, "%s", first_error(&problems));
	else
		report_log(&problems, 0);
	web->tried = true;
	conf_problems_free(&problems);
	return web->files.fd != -1;
}

void
web_take_staged(struct web *web)
{
	bool same;

	if (web->staged.fd == -1)
		return;
	same = web->files.fd != -1 && web_files_same(&web->files,
	    &web->staged);
	web_files_close(&web->files);
	web->files = web->staged;
	web->staged.fd = -1;
	/* A reload gives everybody another chance. */
	if (web->child.state == CHILD_FAILED)
		child_stop(&web->child);
	else if (!same && web->child.pid != 0 && web->listening != -1) {
		log_info("web: who may read it has changed: process %d is "
		    "replaced", (int)web->child.pid);
		child_restart(&web->child, false);
	}
}

void
web_read(const struct conf *conf, struct web_files *files,
    struct conf_problems *problems)
{
	files->fd = -1;
	if (conf_has_web(conf))
		(void)web_files_open(files, &conf->web, problems);
}

void
web_stage(struct supervisor *supervisor, const struct web_files *files)
{
	web_files_close(&supervisor->web.staged);
	supervisor->web.staged = *files;
}
