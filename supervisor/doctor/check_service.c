/* SPDX-License-Identifier: ISC */
/*
 * The doctor's checks of what mcrelayd itself needs: its user, its
 * directory, its log, its unit.
 */
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <paths.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/process.h"
#include "common/util.h"
#include "supervisor/dirs.h"
#include "supervisor/doctor/doctor_priv.h"
#include "supervisor/needs.h"

/*** Is it the one that we look at? ***/

/* How many channels of the file the daemon does not have. */
static size_t
missing(const struct doctor *doctor)
{
	size_t i, count = 0;

	for (i = 0; i < doctor->conf->channels; i++)
		count += facts_status(doctor,
		    doctor->conf->channel[i].name) == NULL;
	return count;
}

static bool
has_reason(const json_t *channel, const char *what)
{
	const json_t *reasons = json_object_get(channel, "reasons"), *reason;
	const char *has;
	size_t i;

	json_array_foreach(reasons, i, reason) {
		has = json_string_value(json_object_get(reason, "what"));
		if (has != NULL && strcmp(has, what) == 0)
			return true;
	}
	return false;
}

/* Somebody has asked for it, and may have forgotten. */
static void
say_paused(struct doctor *doctor)
{
	const char *name;
	bool archive, relay;
	size_t i;

	for (i = 0; i < doctor->conf->channels; i++) {
		name = doctor->conf->channel[i].name;
		archive = has_reason(facts_status(doctor, name),
		    "archive_paused");
		relay = has_reason(facts_status(doctor, name),
		    "relay_paused");
		if (!archive && !relay)
			continue;
		doctor_mend(doctor, "mcrelayctl resume %s", name);
		doctor_say(doctor, DOCTOR_WARN, name, "%s%s%s paused",
		    archive ? "its archive" : "its relay",
		    archive && relay ? " and its relay" : "",
		    archive && relay ? " are" : " is");
	}
}

void
doctor_check_daemon(struct doctor *doctor)
{
	const json_t *status = json_object_get(doctor->facts, "status");
	const char *version = json_string_value(json_object_get(status,
	    "version"));
	size_t count;

	if (doctor->facts == NULL) {
		doctor_say(doctor, DOCTOR_SKIP, "", "no daemon was asked: "
		    "mcrelayctl doctor");
		return;
	}
	if (version != NULL && strcmp(version, PACKAGE_VERSION) != 0) {
		doctor_mend(doctor, "mcrelayctl upgrade");
		doctor_say(doctor, DOCTOR_WARN, "version", "%s runs, %s is "
		    "installed", version, PACKAGE_VERSION);
	} else
		doctor_say(doctor, DOCTOR_OK, "version", "%s",
		    PACKAGE_VERSION);
	count = missing(doctor);
	doctor_mend(doctor, "mcrelayctl reload");
	doctor_say(doctor, count > 0 ? DOCTOR_WARN : DOCTOR_OK,
	    "configuration", count > 0 ? "%zu channels of the file are not in "
	    "force" : "all channels of the file are in force", count);
	say_paused(doctor);
}

/*** Whose are the workers? ***/

/* A name that is no user's the configuration is refused for. */
void
doctor_check_user(struct doctor *doctor)
{
	const struct conf *conf = doctor->conf;
	bool root = geteuid() == 0 && doctor->facts == NULL;

	doctor_mend(doctor, "user: mcrelay in the configuration");
	if (conf_own_users(conf))
		doctor_say(doctor, DOCTOR_OK, "", "each worker has a user of "
		    "its own");
	else if (conf->user != NULL)
		doctor_say(doctor, DOCTOR_OK, conf->user, "user id %u",
		    (unsigned)conf->decimator_user.uid);
	else if (root)
		doctor_say(doctor, DOCTOR_FAIL, "", "no user is configured: "
		    "mcrelayd does not start as root");
	else
		doctor_say(doctor, DOCTOR_OK, "", "workers are who mcrelayd "
		    "is");
}

/*** run_dir. ***/

/* As dirs_open_own() would, but it makes nothing. */
static void
look_at_run_dir(struct doctor *doctor, const char *path)
{
	char *why = NULL, *above = xstrdup(path), *slash;
	int fd;

	while (faccessat(AT_FDCWD, above, F_OK, AT_EACCESS) == -1 &&
	    errno == ENOENT && (slash = strrchr(above, '/')) != NULL &&
	    slash > above)
		*slash = '\0';
	doctor_mend(doctor, "chown, chmod go-w, or another run_dir");
	fd = dirs_open_own(strcmp(above, path) == 0 ? path : "/", 0755, &why);
	if (fd == -1)
		doctor_say(doctor, DOCTOR_FAIL, path, "%s", why != NULL ?
		    why : strerror(errno));
	else if (faccessat(AT_FDCWD, above, W_OK | X_OK, AT_EACCESS) == -1)
		doctor_say(doctor, geteuid() == 0 ? DOCTOR_FAIL : DOCTOR_SKIP,
		    path, "you cannot write to %s: %s", above,
		    strerror(errno));
	else
		doctor_say(doctor, DOCTOR_OK, path, "%s", strcmp(above,
		    path) == 0 ? "is as it should be" : "will be made");
	if (fd != -1)
		close(fd);
	free(why);
	free(above);
}

void
doctor_check_run_dir(struct doctor *doctor)
{
	/* The daemon's user is another than ours. */
	if (doctor->facts != NULL)
		doctor_say(doctor, DOCTOR_OK, doctor->conf->run_dir, "the "
		    "daemon has it");
	else
		look_at_run_dir(doctor, doctor->conf->run_dir);
}

/*** The log. ***/

void
doctor_check_log(struct doctor *doctor)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX,
	    .sun_path = _PATH_LOG};
	int fd;

	if (doctor->conf->log_target != LOG_TARGET_SYSLOG ||
	    json_is_true(json_object_get(doctor->facts, "logs_to_stderr"))) {
		doctor_say(doctor, DOCTOR_OK, "", "goes to standard error");
		return;
	}
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	doctor_mend(doctor, "start a log daemon (systemd-journald, rsyslog), "
	    "or log: {to: stderr}");
	if (fd == -1 || connect(fd, (const void *)&address,
	    sizeof(address)) == -1)
		doctor_say(doctor, DOCTOR_FAIL, "", "no log daemon takes "
		    "datagrams at " _PATH_LOG ": %s", strerror(errno));
	else
		doctor_say(doctor, DOCTOR_OK, "", "a log daemon is at "
		    _PATH_LOG);
	if (fd != -1)
		close(fd);
}

/*** The unit. ***/

/* The service that a process is of, to be freed; NULL: none. */
static char *
unit_of(pid_t pid)
{
	char *text = look_text("/proc/%d/cgroup", (int)pid), *line, *save;
	char *unit = NULL, *slash, *suffix;

	line = text == NULL ? NULL : strtok_r(text, "\n", &save);
	for (; line != NULL && unit == NULL;
	    line = strtok_r(NULL, "\n", &save)) {
		/* The innermost, should there be several. */
		while ((slash = strrchr(line, '/')) != NULL && unit == NULL) {
			suffix = strstr(slash, ".service");
			if (suffix != NULL && suffix[8] == '\0')
				unit = xstrdup(slash + 1);
			*slash = '\0';
		}
	}
	free(text);
	return unit;
}

/* One that hangs ends with the check, and keeps nothing of the caller's
 * open. */
static _Noreturn void
be_systemctl(const char *unit, int out, pid_t parent)
{
	int nothing = open(_PATH_DEVNULL, O_RDWR | O_CLOEXEC);

	(void)process_end_with_parent();
	if (getppid() != parent || nothing == -1 ||
	    dup2(nothing, STDIN_FILENO) == -1 ||
	    dup2(nothing, STDERR_FILENO) == -1 ||
	    dup2(out, STDOUT_FILENO) == -1)
		_exit(127);
	execlp("systemctl", "systemctl", "show", "-p", "FileDescriptor"
	    "StoreMax,LimitNOFILE,OOMPolicy,KillMode,Restart,Type", "--",
	    unit, (char *)NULL);
	_exit(127);
}

/* What systemctl prints, NAME=VALUE lines, to be freed; NULL: nothing. */
static char *
properties_of(const char *unit)
{
	char *text = xcalloc(1, 8192);
	size_t size = 0;
	int ends[2];
	pid_t child, parent = getpid();
	ssize_t got;

	if (pipe2(ends, O_CLOEXEC) == -1 || (child = fork()) == -1) {
		free(text);
		return NULL;
	}
	if (child == 0)
		be_systemctl(unit, ends[1], parent);
	close(ends[1]);
	while (size < 8191 && (got = read(ends[0], text + size,
	    8191 - size)) > 0)
		size += (size_t)got;
	close(ends[0]);
	(void)waitpid(child, NULL, 0);
	return text;
}

/* "": there is no such property. */
static void
property(const char *text, const char *name, char value[static 64])
{
	size_t length = strlen(name);
	const char *line;

	value[0] = '\0';
	for (line = text; line != NULL; line = strchr(line, '\n')) {
		line += line[0] == '\n';
		if (strncmp(line, name, length) == 0 && line[length] == '=') {
			(void)sscanf(line + length + 1, "%63[^\n]", value);
			return;
		}
	}
}

static void
judge_word(struct doctor *doctor, const char *text, const char *name,
    const char *wanted)
{
	char value[64];

	property(text, name, value);
	doctor_mend(doctor, "%s=%s in the unit (systemctl edit)", name,
	    wanted);
	if (value[0] != '\0')
		doctor_say(doctor, strcmp(value, wanted) == 0 ? DOCTOR_OK :
		    DOCTOR_WARN, name, "%s", value);
}

static void
judge_number(struct doctor *doctor, const char *text, const char *name,
    uint64_t wanted)
{
	char value[64];

	property(text, name, value);
	doctor_mend(doctor, "%s=%" PRIu64 " in the unit (systemctl edit)",
	    name, wanted);
	if (value[0] != '\0')
		doctor_say(doctor, strcmp(value, "infinity") != 0 &&
		    strtoull(value, NULL, 10) < wanted ? DOCTOR_WARN :
		    DOCTOR_OK, name, "%s, of which %" PRIu64 " are needed",
		    value, wanted);
}

void
doctor_check_systemd(struct doctor *doctor)
{
	char *unit = doctor->facts == NULL ? NULL : unit_of(facts_pid(doctor));
	char *text = unit == NULL ? NULL : properties_of(unit);
	struct needs needs;

	if (text == NULL || text[0] == '\0')
		doctor_say(doctor, DOCTOR_SKIP, "", "%s", doctor->facts == NULL
		    ? "no daemon was asked: mcrelayctl doctor" : unit == NULL ?
		    "the daemon is not run by systemd" : "systemctl says "
		    "nothing of its unit");
	else {
		needs_of(&needs, doctor->conf);
		/* Input, segment, and what feeds a stream's archive. */
		judge_number(doctor, text, "FileDescriptorStoreMax",
		    3 * doctor->conf->channels);
		judge_number(doctor, text, "LimitNOFILE", needs.descriptors);
		judge_word(doctor, text, "OOMPolicy", "continue");
		judge_word(doctor, text, "KillMode", "mixed");
		judge_word(doctor, text, "Restart", "on-failure");
	}
	free(text);
	free(unit);
}
