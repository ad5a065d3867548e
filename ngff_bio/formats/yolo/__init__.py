"""YOLO text: lines of boxes, outlines and keypoints, and the files that name their classes."""
