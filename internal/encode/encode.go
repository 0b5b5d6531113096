// Package encode is the port to the video encoder.
package encode
