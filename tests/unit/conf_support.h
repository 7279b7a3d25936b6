/* SPDX-License-Identifier: ISC */
/*
 * What the tests of the configuration share: a directory of their own, files
 * in it, and the problems of a file as one text.
 */
#ifndef MCRELAY_CONF_SUPPORT_H
#define MCRELAY_CONF_SUPPORT_H

#include <sys/socket.h>
#include <stddef.h>

#include "supervisor/conf/conf.h"

/* Group set-up and tear-down: make the directory, remove it with all in it. */
int	support_setup(void **state);
int	support_teardown(void **state);
/* A schema, and a set-up that writes it to `accel.avsc'. */
extern const char	support_accel[];
int	support_setup_accel(void **state);

/* The path of a file in the directory; valid until the next call. */
const char	*support_path(const char *name);
void		 support_write(const char *name, const char *text,
		    size_t size);

/* Loads `text' as DIR/c.yaml; fails the test when it has errors. */
struct conf	*support_good(const char *text);
/*
 * The problems of a file, one a line, "LINE:COLUMN: message", warnings with
 * "warning " before; the directory is written DIR, and what depends on this
 * host's receive buffers and routes is left out.  Fails the test when
 * there is a configuration in spite of errors, or none without.  Free it.
 */
char		*support_problems(const char *name);
/* Fails the test when the address is not `expected' in words. */
void		 support_assert_address(const struct sockaddr_storage *address,
		    const char *expected);

#endif /* MCRELAY_CONF_SUPPORT_H */
