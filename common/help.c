/* SPDX-License-Identifier: ISC */
/*
 * What a program says of itself.  Every program.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/help.h"
#include "common/log.h"

/* Where meanings begin. */
#define COLUMN	26

static void
print_line(const struct help_line *line)
{
	int width;

	width = printf("  %s%s%s", line->name,
	    line->arguments[0] != '\0' ? " " : "", line->arguments);
	if (width + 2 > COLUMN) {
		putchar('\n');
		width = 0;
	}
	printf("%*s%s\n", COLUMN - width, "", line->meaning);
}

static void
print_help(const struct help *help)
{
	static const struct help_line all[] = {
		{"-h, --help", "", "print this and exit"},
		{"-V, --version", "", "print the version and exit"},
	};
	const struct help_line *line;

	printf("usage: %s\n", help->synopsis);
	for (line = help->lines; line->name != NULL; line++)
		print_line(line);
	print_line(&all[0]);
	print_line(&all[1]);
	printf("\nMore is in %s(%s).\n", help->program, help->section);
}

static _Noreturn void
end(void)
{
	if (fflush(stdout) != 0 || ferror(stdout))
		fatal("standard output");
	exit(0);
}

void
help_answer(const struct help *help, int argc, char **argv)
{
	int i;

	for (i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
		if (strcmp(argv[i], "-h") == 0 ||
		    strcmp(argv[i], "--help") == 0) {
			print_help(help);
			end();
		} else if (strcmp(argv[i], "-V") == 0 ||
		    strcmp(argv[i], "--version") == 0) {
			printf("%s %s\n", help->program, PACKAGE_VERSION);
			end();
		}
}

void
help_answer_child(const char *program, int argc, char **argv)
{
	static const struct help_line none = {NULL, NULL, NULL};
	struct help help = {.program = program, .section = "8",
	    .lines = &none};
	char synopsis[256];

	snprintf(synopsis, sizeof(synopsis), "%s -h | -V\n\n"
	    "mcrelayd(8) starts it, with sockets and memory that it needs.\n",
	    program);
	help.synopsis = synopsis;
	help_answer(&help, argc, argv);
}

void
help_usage(const struct help *help)
{
	fprintf(stderr, "usage: %s"
	    "%s --help says more, and so does %s(%s).\n", help->synopsis,
	    help->program, help->program, help->section);
}
