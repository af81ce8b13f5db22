"""trainer/engines"""
