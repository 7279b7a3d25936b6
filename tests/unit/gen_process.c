/* SPDX-License-Identifier: ISC */
/*
 * mcrelay-gen as a process of its own.  Tests only.
 */
#include <sys/wait.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "tests/unit/gen_process.h"
#include "tools/gen/gen.h"

#define WORDS_MAX	24
#define DEADLINE_MS	30000

static _Noreturn void
child(int out, int err, char **argv, int argc)
{
	int status;

	dup2(out, STDOUT_FILENO);
	dup2(err, STDERR_FILENO);
	/* an orphan must not outlive a test that failed */
	alarm(DEADLINE_MS / 1000);
	status = gen_main(argc, argv);
	fflush(stdout);
	_exit(status);
}

struct run
run_start(const char *fmt, ...)
{
	struct run run = { 0 };
	char line[512], *argv[WORDS_MAX + 1] = { NULL };
	char *word, *rest = NULL;
	int out[2], err[2], argc = 0;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	argv[argc++] = (char[]){ "mcrelay-gen" };
	for (word = strtok_r(line, " ", &rest);
	    word != NULL && argc < WORDS_MAX;
	    word = strtok_r(NULL, " ", &rest))
		argv[argc++] = word;
	assert_null(word);
	assert_int_equal(pipe(out), 0);
	assert_int_equal(pipe(err), 0);
	run.pid = fork();
	assert_true(run.pid != -1);
	if (run.pid == 0)
		child(out[1], err[1], argv, argc);
	close(out[1]);
	close(err[1]);
	run.out = out[0];
	run.err = err[0];
	return run;
}

void
run_wait_line(struct run *run)
{
	struct pollfd pollfd = { .fd = run->err, .events = POLLIN };
	ssize_t n;

	while (strchr(run->text, '\n') == NULL) {
		assert_int_equal(poll(&pollfd, 1, DEADLINE_MS), 1);
		n = read(run->err, run->text + run->length,
		    sizeof(run->text) - 1 - run->length);
		assert_true(n > 0);
		run->length += (size_t)n;
	}
}

unsigned
run_port(struct run *run)
{
	const char *start_of = "mcrelay-gen: listening on ";
	const char *colon;
	unsigned port;

	run_wait_line(run);
	assert_memory_equal(run->text, start_of, strlen(start_of));
	colon = strrchr(run->text, ':');
	assert_int_equal(sscanf(colon, ":%u\n", &port), 1);
	assert_true(port > 0);
	return port;
}

int
run_finish_text(struct run *run, char *text, size_t size)
{
	struct pollfd pollfd = { .fd = run->out, .events = POLLIN };
	size_t length = 0;
	ssize_t n;
	int status;

	do {
		assert_int_equal(poll(&pollfd, 1, DEADLINE_MS), 1);
		n = read(run->out, text + length, size - 1 - length);
		assert_true(n >= 0);
		length += (size_t)n;
	} while (n > 0);
	text[length] = '\0';
	assert_int_equal(waitpid(run->pid, &status, 0), run->pid);
	close(run->out);
	close(run->err);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

json_t *
run_finish(struct run *run, int expected_status)
{
	char text[4096];
	json_t *report;

	assert_int_equal(run_finish_text(run, text, sizeof(text)),
	    expected_status);
	report = json_loads(text, 0, NULL);
	assert_non_null(report);
	return report;
}

int64_t
run_number(const json_t *report, const char *name)
{
	const json_t *value = json_object_get(report, name);

	assert_true(json_is_integer(value));
	return json_integer_value(value);
}
