/* SPDX-License-Identifier: ISC */
/*
 * The doctor's check of mcrelay-web: is it there, and will clients trust it?
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/util.h"
#include "supervisor/doctor/doctor_priv.h"
#include "supervisor/web_files.h"

/* One that we may not read the daemon may. */
static const char *
unreadable(const struct web_conf *conf)
{
	size_t i;

	for (i = 0; i < WEB_TEXTS; i++)
		if (conf->file[i][0] != '\0' && faccessat(AT_FDCWD,
		    conf->file[i], R_OK, AT_EACCESS) == -1 && errno == EACCES)
			return conf->file[i];
	return NULL;
}

/* What the daemon has may be older than what is in the file. */
static void
look_at_certificate(struct doctor *doctor, const json_t *web,
    int64_t expires_s)
{
	const json_t *in_force = json_object_get(web, "certificate_expires");
	int64_t days = (expires_s - (int64_t)time(NULL)) / (24 * 3600);

	if (expires_s == 0)
		return;
	if (json_is_integer(in_force) &&
	    json_integer_value(in_force) != expires_s) {
		doctor_mend(doctor, "mcrelayctl reload");
		doctor_say(doctor, DOCTOR_WARN, "certificate", "mcrelayd has "
		    "another one than its file");
	} else
		doctor_say(doctor, DOCTOR_OK, "certificate", "expires in %"
		    PRId64 " days", days);
}

static void
look_at_files(struct doctor *doctor, const json_t *web)
{
	const struct web_conf *conf = &doctor->conf->web;
	struct conf_problems problems = {NULL, 0, 0};
	struct web_files files;
	int64_t expires_s = 0;
	size_t i;

	if (web_files_open(&files, conf, &problems)) {
		expires_s = files.expires_s;
		web_files_close(&files);
	}
	for (i = 0; i < problems.count; i++)
		doctor_say(doctor, problems.list[i].warning ? DOCTOR_WARN :
		    DOCTOR_FAIL, "files", "%s", problems.list[i].text);
	if (problems.count == 0)
		look_at_certificate(doctor, web, expires_s);
	conf_problems_free(&problems);
}

void
doctor_check_web(struct doctor *doctor)
{
	const json_t *web = json_object_get(json_object_get(doctor->facts,
	    "status"), "web");
	const char *state = json_string_value(json_object_get(web, "state"));
	const char *detail = json_string_value(json_object_get(web,
	    "detail")), *path;

	if (!conf_has_web(doctor->conf)) {
		doctor_say(doctor, DOCTOR_OK, "", "none is configured");
		return;
	}
	if (state != NULL)
		doctor_say(doctor, strcmp(state, "running") == 0 ? DOCTOR_OK :
		    DOCTOR_WARN, "process", "%s%s%s", state, detail != NULL ?
		    ": " : "", detail != NULL ? detail : "");
	path = unreadable(&doctor->conf->web);
	if (path != NULL)
		doctor_say(doctor, DOCTOR_SKIP, "files", "you cannot read %s",
		    path);
	else
		look_at_files(doctor, web);
	if (state == NULL)
		doctor_say(doctor, DOCTOR_SKIP, "process", "no daemon with "
		    "it was asked");
}
