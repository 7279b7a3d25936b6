/* SPDX-License-Identifier: ISC */
/*
 * Running mcrelay-verify within a test.
 */
#ifndef MCRELAY_VERIFY_SUPPORT_H
#define MCRELAY_VERIFY_SUPPORT_H

#include <stddef.h>

/* Runs the program with these arguments (NULL at the end); `said' gets what
 * it prints, on either stream.  Returns its exit status. */
int	verify(char *said, size_t room, char **argv);

#endif /* MCRELAY_VERIFY_SUPPORT_H */
