//go:build tools

// Package main names the command that is built here, so that `go mod tidy` keeps its closure.
package main

import _ "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"
