#!/bin/sh
# SPDX-License-Identifier: ISC
# Makes configure from configure.ac, in a checkout (a release has it).
set -eu
cd "$(dirname "$0")"
exec autoreconf -fi
