/* SPDX-License-Identifier: ISC */
/*
 * Runs the doctor's checks, each in a process of its own, and gathers what
 * they say.  See doctor.h.
 */
#include <sys/wait.h>
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/log.h"
#include "common/printable.h"
#include "common/process.h"
#include "common/util.h"
#include "supervisor/child.h"
#include "supervisor/doctor/doctor.h"
#include "supervisor/doctor/doctor_priv.h"
#include "supervisor/doctor/print.h"

/* What one check may say, in bytes: some findings for thousands of channels. */
#define SAID_MAX	(16U * 1024 * 1024)

#define CHECKS_MAX	64U

/* A check that runs. */
struct running {
	const struct doctor_check *check;
	pid_t		 pid;
	int		 pipe;		/* -1: it has ended */
	uint64_t	 deadline_ns;	/* CLOCK_MONOTONIC */
	char		*said;
	size_t		 size;
	json_t		*findings;
};

/*** In the check's process. ***/

void
doctor_mend(struct doctor *doctor, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(doctor->mend, sizeof(doctor->mend), fmt, ap);
	va_end(ap);
}

static json_t *
finding(enum doctor_result result, const char *subject, const char *measured,
    const char *mend)
{
	char *clean_subject = printable_copy(subject);
	char *clean_measured = printable_copy(measured);
	char *clean_mend = printable_copy(mend);
	json_t *object;

	object = json_pack("{s:i, s:s, s:s, s:s}", "result", (int)result,
	    "subject", clean_subject, "measured", clean_measured,
	    "mend", clean_mend);
	free(clean_subject);
	free(clean_measured);
	free(clean_mend);
	return object;
}

void
doctor_say(struct doctor *doctor, enum doctor_result result,
    const char *subject, const char *fmt, ...)
{
	char measured[1024];
	json_t *object;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(measured, sizeof(measured), fmt, ap);
	va_end(ap);
	object = finding(result, subject, measured,
	    result == DOCTOR_OK || result == DOCTOR_SKIP ? "" : doctor->mend);
	json_dumpf(object, doctor->out, JSON_COMPACT);
	fputc('\n', doctor->out);
	json_decref(object);
	doctor->mend[0] = '\0';
}

static _Noreturn void
be_check(const struct doctor_check *check, const struct doctor *doctor,
    int out, pid_t parent)
{
	struct doctor own = *doctor;

	/* One that hangs in the kernel is left behind, and ends when it is
	 * done there. */
	(void)process_end_with_parent();
	if (getppid() != parent)
		_exit(1);
	(void)signal(SIGPIPE, SIG_DFL);
	own.out = fdopen(out, "w");
	if (own.out == NULL)
		_exit(1);
	check->run(&own);
	_exit(fflush(own.out) == 0 ? 0 : 1);
}

/*** Around it. ***/

static void
add(struct running *running, json_t *object)
{
	if (object != NULL)
		json_array_append_new(running->findings, object);
}

/* -1 with errno. */
static int
try_to_start(struct running *running, const struct doctor *doctor)
{
	pid_t parent = getpid();
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) == -1)
		return -1;
	running->pid = fork();
	if (running->pid == 0) {
		close(ends[0]);
		be_check(running->check, doctor, ends[1], parent);
	}
	close(ends[1]);
	if (running->pid == -1) {
		close(ends[0]);
		return -1;
	}
	fd_set_nonblock(ends[0]);
	running->pipe = ends[0];
	return 0;
}

static void
start(struct running *running, const struct doctor *doctor)
{
	char measured[96];

	running->deadline_ns = clock_monotonic_ns() +
	    running->check->patience_s * NS_PER_S;
	if (try_to_start(running, doctor) == 0)
		return;
	snprintf(measured, sizeof(measured), "nobody can look: %s",
	    strerror(errno));
	add(running, finding(DOCTOR_FAIL, "", measured, ""));
}

/* Takes apart what it has said; a last line that is not whole is none. */
static void
take_findings(struct running *running)
{
	char *line = running->said, *end;

	while (running->size > 0 && (end = memchr(line, '\n', running->size -
	    (size_t)(line - running->said))) != NULL) {
		add(running, json_loadb(line, (size_t)(end - line), 0, NULL));
		line = end + 1;
		if (line == running->said + running->size)
			break;
	}
}

/* Of one that has nothing more to say: how it ended; false: it does not. */
static bool
reap(const struct running *running, int *status)
{
	const struct timespec moment = {.tv_nsec = NS_PER_MS};
	pid_t ended;

	while ((ended = waitpid(running->pid, status, WNOHANG)) == 0 &&
	    clock_monotonic_ns() < running->deadline_ns)
		(void)nanosleep(&moment, NULL);
	return ended == running->pid;
}

static void
end(struct running *running, bool hangs)
{
	char measured[160] = "", how[128];
	int status = 0;

	close(running->pipe);
	running->pipe = -1;
	if (hangs || !reap(running, &status)) {
		(void)kill(running->pid, SIGKILL);
		snprintf(measured, sizeof(measured), "no answer within %u s: "
		    "what it asks hangs", running->check->patience_s);
	} else if (status != 0) {
		child_describe_exit(status, how, sizeof(how));
		snprintf(measured, sizeof(measured), "the check %s", how);
	}
	take_findings(running);
	if (measured[0] != '\0')
		add(running, finding(DOCTOR_FAIL, "", measured, ""));
	else if (json_array_size(running->findings) == 0)
		add(running, finding(DOCTOR_SKIP, "", "nothing in the "
		    "configuration asks for it", ""));
	free(running->said);
	running->said = NULL;
}

/* True: it goes on. */
static bool
hear(struct running *running)
{
	char buffer[65536];
	ssize_t got = read(running->pipe, buffer, sizeof(buffer));

	if (got == -1)
		return errno == EAGAIN || errno == EINTR;
	if (got == 0)
		return false;
	if (running->size + (size_t)got > SAID_MAX)
		return false;
	running->said = xrealloc(running->said, running->size + (size_t)got);
	memcpy(running->said + running->size, buffer, (size_t)got);
	running->size += (size_t)got;
	return true;
}

/* Waits for those that run, a while: `poll_fds' and `of' have room for all.
 * How many there are. */
static size_t
wait_for(struct running *running, struct pollfd *poll_fds,
    struct running **of)
{
	size_t i, count = 0;

	/* No more than there are descriptors, or it fails. */
	for (i = 0; i < doctor_checks; i++)
		if (running[i].pipe != -1) {
			of[count] = &running[i];
			poll_fds[count++] = (struct pollfd){
			    .fd = running[i].pipe, .events = POLLIN};
		}
	if (count > 0 && poll(poll_fds, count, 100) == -1 && errno != EINTR)
		fatal("poll");
	return count;
}

/* Until each has ended or had its time. */
static void
gather(struct running *running)
{
	struct pollfd poll_fds[CHECKS_MAX];
	struct running *of[CHECKS_MAX];
	uint64_t now_ns;
	size_t i, count;

	while ((count = wait_for(running, poll_fds, of)) > 0) {
		now_ns = clock_monotonic_ns();
		for (i = 0; i < count; i++)
			if (poll_fds[i].revents != 0 && !hear(of[i]))
				end(of[i], false);
			else if (now_ns > of[i]->deadline_ns)
				end(of[i], true);
	}
}

static bool
is_check(const char *name)
{
	size_t i;

	for (i = 0; i < doctor_checks; i++)
		if (strcmp(doctor_table[i].name, name) == 0)
			return true;
	return false;
}

static json_t *
run_all(const struct doctor *doctor, const char *only)
{
	struct running running[CHECKS_MAX];
	json_t *all = json_array();
	size_t i;

	assert(doctor_checks <= CHECKS_MAX);
	for (i = 0; i < doctor_checks; i++) {
		running[i] = (struct running){.check = &doctor_table[i],
		    .findings = json_array(), .pipe = -1};
		if (only == NULL || strcmp(only, doctor_table[i].name) == 0)
			start(&running[i], doctor);
	}
	gather(running);
	for (i = 0; i < doctor_checks; i++)
		json_array_append_new(all, running[i].findings);
	return all;
}

/* What the daemon says comes by a file of its client's; fatal when it is not
 * what it should be. */
static json_t *
read_facts(int fd)
{
	json_error_t error;
	json_t *facts;

	if (fd == -1)
		return NULL;
	facts = json_loadfd(fd, 0, &error);
	if (facts == NULL)
		fatalx("the daemon's facts cannot be read: %s", error.text);
	close(fd);
	return facts;
}

int
doctor_run(const struct conf *conf, const struct doctor_options *options)
{
	json_t *facts = read_facts(options->facts), *findings;
	struct doctor doctor = {.conf = conf, .facts = facts,
	    .disk = options->disk};
	int result;

	if (options->check != NULL && !is_check(options->check)) {
		log_warnx("there is no check %s: see mcrelayctl(8)",
		    options->check);
		return 1;
	}
	/* What is not written would be written by each child again. */
	fflush(NULL);
	findings = run_all(&doctor, options->check);
	if (options->json)
		result = print_findings_json(findings, conf->file);
	else
		result = print_findings(findings);
	json_decref(findings);
	json_decref(facts);
	if (fflush(stdout) != 0 || ferror(stdout))
		fatal("standard output");
	return result;
}
