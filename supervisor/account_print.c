/* SPDX-License-Identifier: ISC */
/*
 * `mcrelayd --account': what a supervisor of another version asks this program
 * for (account.h).  Reads a segment that a worker may have written anything to,
 * and can do nothing else.
 */
#include <sys/stat.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/sandbox.h"
#include "supervisor/account.h"

#define TRIES	100

static bool
print_text(const char *text)
{
	size_t size = strlen(text), done = 0;
	ssize_t put;

	while (done < size) {
		put = write(STDOUT_FILENO, text + done, size - done);
		if (put <= 0)
			return false;
		done += (size_t)put;
	}
	return true;
}

/* What is in use may change too fast, but not all the time. */
static json_t *
account_of_busy(const struct segment *segment)
{
	json_t *account = NULL;
	unsigned tries;

	for (tries = 0; account == NULL && tries < TRIES; tries++)
		account = account_of(segment);
	return account;
}

static int
print_one(void)
{
	/* It only has to read what is mapped. */
	const struct sandbox sandbox = {.program = SANDBOX_DECIMATOR,
	    .directory = -1};
	struct segment segment;
	const char *why;
	json_t *account;
	char *text;
	int status = 1;

	/* The first object would read the seed from a file. */
	json_object_seed(0);
	(void)sandbox_enter(&sandbox);
	if (segment_attach(&segment, ACCOUNT_FD, SEGMENT_DECIMATOR, &why) ==
	    -1) {
		fprintf(stderr, "%s\n", why);
		return ACCOUNT_EXIT_DAMAGED;
	}
	account = account_of_busy(&segment);
	if (account == NULL)
		return ACCOUNT_EXIT_DAMAGED;
	text = json_dumps(account, JSON_COMPACT);
	if (text != NULL && print_text(text))
		status = 0;
	free(text);
	json_decref(account);
	return status;
}

int
account_print(void)
{
	struct stat stat;

	if (fstat(ACCOUNT_FD, &stat) == 0 && S_ISSOCK(stat.st_mode))
		return account_serve(print_one);
	return print_one();
}
