/* SPDX-License-Identifier: ISC */
/*
 * Whether a handoff could be gone on with: asked by the old image of the new
 * one, which changes nothing.  Supervisor only.
 */
#include <stdlib.h>
#include <string.h>

#include "common/wake.h"
#include "supervisor/handoff.h"
#include "supervisor/handoff_parts.h"
#include "supervisor/report.h"
#include "supervisor/supervisor.h"

/* A worker may write anything to its segment: one that does is no reason to
 * deny the others an upgrade. */
static void
report_lost(const struct inherited *each, const char *why, bool damaged,
    struct conf_problems *problems)
{
	if (each->worker.pid == 0)
		return;
	if (damaged)
		report_warning(problems, "channel %s: its worker has damaged "
		    "its memory, which is lost with what it holds: %s",
		    each->name, why);
	else
		report_error(problems, "channel %s: its worker's "
		    "memory cannot be taken over: %s", each->name, why);
}

static void
check_channel(const struct inheritance *inheritance,
    struct inherited *each, const struct channel_conf *conf,
    struct conf_problems *problems)
{
	struct segment segment;
	struct parts parts;
	const char *why;

	if (each->segment == -1 ||
	    segment_attach(&segment, each->segment, SEGMENT_DECIMATOR, &why) ==
	    -1) {
		if (each->segment == -1)
			why = "it was not handed over";
		report_lost(each, why, inheritance->same_layout, problems);
		return;
	}
	segment_close(&segment);
	if (conf == NULL)
		return;
	/* What cannot be opened now is waited for; but that there are enough
	 * descriptors for it must be known before. */
	parts_init(&parts);
	handoff_take_parts(&parts, conf, each);
	/* In the place of a directory, which would be made. */
	if (parts.archive == -1 && conf->archive.enabled)
		parts.archive = wake_open();
	parts_open(&parts, conf, PART_WORKER | PART_STREAMS, problems);
	parts_close(&parts, PART_ALL);
}

static void
check_users(const struct inheritance *inheritance, const struct conf *conf,
    struct conf_problems *problems)
{
	char *users = conf_users_text(conf);

	if (inheritance->user != NULL && strcmp(inheritance->user, users) != 0)
		report_error(problems, "%s: user cannot be changed by an "
		    "upgrade: restart mcrelayd", conf->file);
	free(users);
}

void
handoff_check(struct supervisor *supervisor, const struct conf *conf,
    struct conf_problems *problems)
{
	const struct inheritance *inheritance = supervisor->inheritance;
	struct inherited *each;
	size_t i;

	if (strcmp(inheritance->run_dir, conf->run_dir) != 0)
		report_error(problems, "%s: run_dir cannot be changed from %s "
		    "to %s by an upgrade: restart mcrelayd", conf->file,
		    inheritance->run_dir, conf->run_dir);
	else
		rundir_check(conf->run_dir, problems);
	check_users(inheritance, conf, problems);
	if (inheritance->lock == -1 || inheritance->control == -1)
		report_error(problems, "the control socket or the lock was "
		    "not handed over");
	for (i = 0; i < inheritance->channels; i++) {
		each = &inheritance->channel[i];
		check_channel(inheritance, each, conf_channel(conf,
		    each->name), problems);
	}
}
