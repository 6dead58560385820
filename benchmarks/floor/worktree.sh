#!/bin/sh
# What a careful person would type to do one step's worth of git: the floor of a step.
# worktree.sh REPOSITORY WORKTREE
set -eu
export GIT_AUTHOR_NAME=floor GIT_AUTHOR_EMAIL=floor@example.com
export GIT_COMMITTER_NAME=floor GIT_COMMITTER_EMAIL=floor@example.com
git -C "$1" worktree add --quiet --detach "$2" HEAD
cd "$2"
echo done >floor.txt
git add floor.txt
git commit --quiet --message step
cd "$1"
git worktree remove --force "$2"
